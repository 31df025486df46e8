"""Optimizer steps without TensorFlow's way to many devices, which keeps the graph of every trial for ever.

Keras hands each step to `tf.distribute`, also where there is one device; what that makes of the step holds on to the
graph it was traced in. 100 trials on digits, each of a width of its own, grew a worker by 4.4 MB a trial, and by 4,900
objects that no collection frees; without it by 0.4 MB and by none. Neither more collections, nor malloc_trim, nor fewer
arenas (MALLOC_ARENA_MAX) changed either figure by a tenth. The arithmetic is Keras' own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    import keras


@contextmanager
def direct_updates(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Have graphs that are traced meanwhile update variable by variable, if the optimizer does it in no way of its own.

    Args:
        optimizer: of the model that is traced; used on one device.
    """
    from keras.src.backend.tensorflow.optimizer import TFOptimizer  # not at the top: `preload` decides when

    direct: dict[str, Callable[..., None]] = {"_backend_update_step": _update, "_apply_weight_decay": _decay}
    replaced = [name for name in direct if getattr(type(optimizer), name) is getattr(TFOptimizer, name)]
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
                tf.cast(value, variable.dtype) for value in (optimizer.learning_rate, optimizer.weight_decay)
            )
            variable.assign_sub(variable * decay * rate)
