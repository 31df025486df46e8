"""Optimizer steps by TensorFlow's own kernels, which go over each array once where Keras' do it ten
times.

The arithmetic is the same, operation by operation: `keras.optimizers.Adam.update_step` and
`SGD.update_step` beside TensorFlow's `training_ops.cc`. Keras' RMSprop stays as it is, since
TensorFlow's wants an array that Keras' lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import tensorflow as tf

if TYPE_CHECKING:
    import keras


UpdateStep: TypeAlias = Callable[[tf.Tensor, tf.Variable, tf.Tensor], None]


@contextmanager
def kernels(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Have graphs that are traced meanwhile step by a kernel, if the optimizer is one that has
    one.
    """
    step = _step(optimizer)
    if step is None:
        yield
        return
    optimizer.update_step = step
    try:
        yield
    finally:
        del optimizer.update_step


def _step(optimizer: keras.optimizers.Optimizer) -> UpdateStep | None:
    import keras  # not at the top: a worker's `preload` decides when Keras is imported

    # Exactly these classes: what is made from them may step otherwise.
    if type(optimizer) in (keras.optimizers.Adam, keras.optimizers.AdamW) and not optimizer.amsgrad:
        return partial(_adam, optimizer)
    if type(optimizer) is keras.optimizers.SGD and optimizer.momentum > 0:
        return partial(_momentum, optimizer)
    return None


def _adam(
    optimizer: keras.optimizers.Adam, gradient: tf.Tensor, variable: tf.Variable, rate: tf.Tensor
) -> None:
    """Take Adam's step (Kingma and Ba 2015, algorithm 1 in the order of the end of section 2)."""
    number = optimizer._get_variable_index(variable)
    step = tf.cast(optimizer.iterations + 1, variable.dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=_handle(optimizer._momentums[number]),
        v=_handle(optimizer._velocities[number]),
        beta1_power=tf.pow(tf.cast(optimizer.beta_1, variable.dtype), step),
        beta2_power=tf.pow(tf.cast(optimizer.beta_2, variable.dtype), step),
        lr=tf.cast(rate, variable.dtype),
        beta1=tf.cast(optimizer.beta_1, variable.dtype),
        beta2=tf.cast(optimizer.beta_2, variable.dtype),
        epsilon=tf.cast(optimizer.epsilon, variable.dtype),
        grad=tf.cast(gradient, variable.dtype),
    )


def _momentum(
    optimizer: keras.optimizers.SGD, gradient: tf.Tensor, variable: tf.Variable, rate: tf.Tensor
) -> None:
    """Take a step of momentum, Nesterov's if the optimizer says so (Sutskever et al. 2013)."""
    tf.raw_ops.ResourceApplyKerasMomentum(
        var=variable.handle,
        accum=_handle(optimizer.momentums[optimizer._get_variable_index(variable)]),
        lr=tf.cast(rate, variable.dtype),
        grad=tf.cast(gradient, variable.dtype),
        momentum=tf.cast(optimizer.momentum, variable.dtype),
        use_nesterov=optimizer.nesterov,
    )


def _handle(variable: Any) -> tf.Tensor:
    """Return what TensorFlow's kernels take of a Keras variable."""
    return variable.value.handle


# Optimizer steps without TensorFlow's way to many devices, which keeps the graph of every trial for
# ever.
#
# Keras hands each step to `tf.distribute`, also where there is one device; what that makes of the
# step holds on to the graph it was traced in. 100 trials on digits, each of a width of its own,
# grew a worker by 4.4 MB a trial, and by 4,900 objects that no collection frees; without it by 0.4
# MB and by none. Neither more collections, nor malloc_trim, nor fewer arenas (MALLOC_ARENA_MAX)
# changed either figure by a tenth. The arithmetic is Keras' own.


@contextmanager
def direct_updates(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Have graphs that are traced meanwhile update variable by variable, if the optimizer does it
    in no way of its own.

    Args:
        optimizer: of the model that is traced; used on one device.
    """
    from keras.src.backend.tensorflow.optimizer import (
        TFOptimizer,
    )  # not at the top: `preload` decides when

    direct: dict[str, Callable[..., None]] = {
        "_backend_update_step": _update,
        "_apply_weight_decay": _decay,
    }
    replaced = [
        name for name in direct if getattr(type(optimizer), name) is getattr(TFOptimizer, name)
    ]
    if tf.distribute.has_strategy():
        replaced = []
    for name in replaced:
        setattr(optimizer, name, partial(direct[name], optimizer))
    try:
        yield
    finally:
        for name in replaced:
            delattr(optimizer, name)


def _update(
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[keras.Variable],
    rate: tf.Tensor,
) -> None:
    for gradient, variable in zip(gradients, variables, strict=True):
        optimizer.update_step(gradient, variable.value, rate)


def _decay(optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]) -> None:
    if optimizer.weight_decay is None:
        return
    for variable in (variable.value for variable in variables):
        if optimizer._use_weight_decay(variable):
            rate, decay = (
                tf.cast(value, variable.dtype)
                for value in (optimizer.learning_rate, optimizer.weight_decay)
            )
            variable.assign_sub(variable * decay * rate)
