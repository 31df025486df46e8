"""Optimizers by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.models.training.config import (
    DEFAULT_ADAMW_DECAY,
    DEFAULT_MOMENTUM,
    OPTIMIZERS,
    TrainSettings,
)

if TYPE_CHECKING:
    import keras


def has_weight_decay(train: TrainSettings) -> bool:
    """Return whether steps apply weight decay, even of 0.

    AdamW always does.
    """
    return train.weight_decay is not None or train.optimizer == "adamw"


def effective_weight_decay(train: TrainSettings) -> float:
    """Return the weight decay; 0 for none."""
    default = DEFAULT_ADAMW_DECAY if train.optimizer == "adamw" else 0.0
    return default if train.weight_decay is None else train.weight_decay


def create_optimizer(train: TrainSettings) -> keras.optimizers.Optimizer:
    """Create the Keras optimizer that the settings name.

    A setting that is None takes Keras' default; the momentum takes 0.9. Weight decay is decoupled
    from the gradient in all optimizers (Loshchilov and Hutter 2019). Gradients are clipped first;
    `clip_norm` limits the norm of the gradient of all weights together (Pascanu et al. 2013).
    """
    import keras  # not at the top: settings are checked without a backend

    own_settings = {
        name: value
        for name in OPTIMIZERS[train.optimizer]
        if (value := getattr(train, name)) is not None
    }
    shared_settings = {
        "learning_rate": train.learning_rate,
        "weight_decay": train.weight_decay,
        "global_clipnorm": train.clip_norm,
        "clipvalue": train.clip_value,
    }
    match train.optimizer:
        case "sgd":
            return keras.optimizers.SGD(**shared_settings)
        case "momentum":
            momentum = {"momentum": DEFAULT_MOMENTUM, **own_settings}
            return keras.optimizers.SGD(**momentum, **shared_settings)
        case "rmsprop":
            return keras.optimizers.RMSprop(**own_settings, **shared_settings)
        case "adam":
            return keras.optimizers.Adam(**own_settings, **shared_settings)
        case _:
            shared_settings["weight_decay"] = effective_weight_decay(train)
            return keras.optimizers.AdamW(**own_settings, **shared_settings)
