"""Optimizers by name: how a gradient becomes a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.names import check_name

if TYPE_CHECKING:
    import keras

OPTIMIZERS = ("sgd", "momentum", "rmsprop", "adam", "adamw")
DEFAULT_MOMENTUM = 0.9
DEFAULT_ADAMW_DECAY = 0.004
"""Keras' own default for AdamW."""


def check_optimizer(name: str) -> str:
    """Return `name` if it is an optimizer.

    Raises:
        RequestError: it is not.
    """
    return check_name("optimizer", name, OPTIMIZERS)


def optimizer(
    name: str, learning_rate: float, momentum: float | None = None, weight_decay: float | None = None
) -> keras.optimizers.Optimizer:
    """Return a new Keras optimizer.

    Args:
        name: one of OPTIMIZERS.
        learning_rate: the step size, more than 0.
        momentum: what of the last step is kept, in [0, 1); read by "momentum" alone, 0.9 if None.
        weight_decay: the fraction of every weight, times the learning rate, that each step takes off apart from the
            gradient; if None, 0.004 with "adamw" and nothing with the others.

    Raises:
        RequestError: the name is unknown.
    """
    import keras  # not at the top: settings are checked without a backend

    match check_optimizer(name):
        case "sgd":
            return keras.optimizers.SGD(learning_rate, weight_decay=weight_decay)
        case "momentum":
            kept = DEFAULT_MOMENTUM if momentum is None else momentum
            return keras.optimizers.SGD(learning_rate, momentum=kept, weight_decay=weight_decay)
        case "rmsprop":
            return keras.optimizers.RMSprop(learning_rate, weight_decay=weight_decay)
        case "adam":
            return keras.optimizers.Adam(learning_rate, weight_decay=weight_decay)
        case _:
            decay = DEFAULT_ADAMW_DECAY if weight_decay is None else weight_decay
            return keras.optimizers.AdamW(learning_rate, weight_decay=decay)
