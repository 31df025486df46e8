"""Optimizer steps that are faster than Keras' on TensorFlow.

The arithmetic is the same, operation by operation: compare `keras.optimizers.Adam.update_step` and
`SGD.update_step` with TensorFlow's `training_ops.cc`. Both replacements depend on internals, so
they apply only to the releases in `keras_compat.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import tensorflow as tf

from assay.models import keras_compat

if TYPE_CHECKING:
    import keras

UpdateStep: TypeAlias = Callable[[tf.Tensor, tf.Variable, tf.Tensor], None]


@contextmanager
def fast_updates(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Trace faster updates of the weights.

    Graphs that are traced in this context update weights faster, unless the release of Keras or
    TensorFlow is unsupported.
    """
    if not keras_compat.is_supported():
        yield
        return
    with _kernel_steps(optimizer), _direct_updates(optimizer):
        yield


# TensorFlow's kernels
# --------------------
# A kernel passes over each array once, Keras' own step about ten times. Keras' RMSprop stays as it
# is: TensorFlow's kernel needs an array that Keras does not have.


@contextmanager
def _kernel_steps(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Trace steps by a kernel, if there is one."""
    step = _kernel_step(optimizer)
    if step is None:
        yield
        return
    optimizer.update_step = step
    try:
        yield
    finally:
        del optimizer.update_step


def _kernel_step(optimizer: keras.optimizers.Optimizer) -> UpdateStep | None:
    import keras  # not at the top: the worker's `preload` decides when Keras is imported

    # Exactly these classes: subclasses may define another step.
    if type(optimizer) in (keras.optimizers.Adam, keras.optimizers.AdamW) and not optimizer.amsgrad:
        return partial(_adam_step, optimizer)
    if type(optimizer) is keras.optimizers.SGD and optimizer.momentum > 0:
        return partial(_momentum_step, optimizer)
    return None


def _adam_step(
    optimizer: keras.optimizers.Adam,
    gradient: tf.Tensor,
    variable: tf.Variable,
    learning_rate: tf.Tensor,
) -> None:
    """Apply Adam's step (Kingma and Ba 2015, section 2)."""
    index = optimizer._get_variable_index(variable)
    step = tf.cast(optimizer.iterations + 1, variable.dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=_handle(optimizer._momentums[index]),
        v=_handle(optimizer._velocities[index]),
        beta1_power=tf.pow(tf.cast(optimizer.beta_1, variable.dtype), step),
        beta2_power=tf.pow(tf.cast(optimizer.beta_2, variable.dtype), step),
        lr=tf.cast(learning_rate, variable.dtype),
        beta1=tf.cast(optimizer.beta_1, variable.dtype),
        beta2=tf.cast(optimizer.beta_2, variable.dtype),
        epsilon=tf.cast(optimizer.epsilon, variable.dtype),
        grad=tf.cast(gradient, variable.dtype),
    )


def _momentum_step(
    optimizer: keras.optimizers.SGD,
    gradient: tf.Tensor,
    variable: tf.Variable,
    learning_rate: tf.Tensor,
) -> None:
    """Apply a step of (Nesterov) momentum (Sutskever et al. 2013)."""
    tf.raw_ops.ResourceApplyKerasMomentum(
        var=variable.handle,
        accum=_handle(optimizer.momentums[optimizer._get_variable_index(variable)]),
        lr=tf.cast(learning_rate, variable.dtype),
        grad=tf.cast(gradient, variable.dtype),
        momentum=tf.cast(optimizer.momentum, variable.dtype),
        use_nesterov=optimizer.nesterov,
    )


def _handle(variable: Any) -> tf.Tensor:
    """Return the handle that TensorFlow's kernels take."""
    return variable.value.handle


# Updates without tf.distribute
# -----------------------------
# Keras passes each step to tf.distribute even on one device, and the function that tf.distribute
# makes of it keeps the graph it was traced in. 100 trials on digits with 100 different widths grew
# a worker by 4.4 MB per trial and by 4,900 objects that garbage collection does not free; without
# tf.distribute by 0.4 MB and no objects. Neither more collections, nor malloc_trim, nor fewer
# arenas (MALLOC_ARENA_MAX) changed either figure by a tenth.


@contextmanager
def _direct_updates(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Trace updates variable by variable.

    Args:
        optimizer: of the model that is traced; used on one device.
    """
    # not at the top: the worker's `preload` decides when Keras is imported
    from keras.src.backend.tensorflow.optimizer import TFOptimizer

    replacements: dict[str, Callable[..., None]] = {
        "_backend_update_step": _update_variables,
        "_apply_weight_decay": _apply_weight_decay,
    }
    replaced = [
        name
        for name in replacements
        if getattr(type(optimizer), name) is getattr(TFOptimizer, name)
    ]
    if tf.distribute.has_strategy():
        replaced = []
    for name in replaced:
        setattr(optimizer, name, partial(replacements[name], optimizer))
    try:
        yield
    finally:
        for name in replaced:
            delattr(optimizer, name)


def _update_variables(
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[keras.Variable],
    learning_rate: tf.Tensor,
) -> None:
    for gradient, variable in zip(gradients, variables, strict=True):
        optimizer.update_step(gradient, variable.value, learning_rate)


def _apply_weight_decay(
    optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]
) -> None:
    if optimizer.weight_decay is None:
        return
    for variable in (variable.value for variable in variables):
        if optimizer._use_weight_decay(variable):
            learning_rate = tf.cast(optimizer.learning_rate, variable.dtype)
            weight_decay = tf.cast(optimizer.weight_decay, variable.dtype)
            variable.assign_sub(variable * weight_decay * learning_rate)
