"""Optimizers by name: how a gradient becomes a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from assay.models.errors import RequestError
from assay.models.names import check_name

if TYPE_CHECKING:
    import keras

    from assay.models.training.config import TrainSettings

OPTIMIZERS: Mapping[str, tuple[str, ...]] = {
    "sgd": (),
    "momentum": ("momentum", "nesterov"),
    "rmsprop": ("rho", "epsilon"),
    "adam": ("beta_1", "beta_2", "epsilon"),
    "adamw": ("beta_1", "beta_2", "epsilon"),
}
"""Every optimizer, and which of its settings not all of them have."""

OWN = "own"
"""The optimizer that a user's own model comes compiled with; nothing here is applied then."""

DEFAULT_MOMENTUM = 0.9
DEFAULT_ADAMW_DECAY = 0.004
"""Keras' own default for AdamW."""


def check_optimizer(name: str) -> str:
    """Return `name` if it is an optimizer.

    Raises:
        RequestError: it is not.
    """
    return check_name("optimizer", name, (*OPTIMIZERS, OWN))


def check_parameters(train: TrainSettings) -> None:
    """See that the optimizer reads whatever parameters are given, and that gradients are clipped in
    one way.

    Raises:
        RequestError: it does not, or they are not.
    """
    for name in dict.fromkeys(name for own in OPTIMIZERS.values() for name in own):
        value = getattr(train, name)
        if value is not None and name not in OPTIMIZERS.get(train.optimizer, ()):
            raise RequestError(
                f"{name} is a setting of {_owners(name)} alone: received {name} = {value} with "
                f"optimizer = {train.optimizer!r}; remove one or change the other."
            )
    if train.clip_norm is not None and train.clip_value is not None:
        raise RequestError(
            f"clip_norm and clip_value exclude each other: received clip_norm = {train.clip_norm} with "
            f"clip_value = {train.clip_value}; remove one."
        )


def has_weight_decay(train: TrainSettings) -> bool:
    """Return whether the optimizer takes a part off every weight at each step, be it none: adamw
    does in any case.
    """
    return train.weight_decay is not None or train.optimizer == "adamw"


def decay_of(train: TrainSettings) -> float:
    """Return the part of every weight, times the learning rate, that a step takes off; 0 if there
    is none.
    """
    default = DEFAULT_ADAMW_DECAY if train.optimizer == "adamw" else 0.0
    return default if train.weight_decay is None else train.weight_decay


def optimizer(train: TrainSettings) -> keras.optimizers.Optimizer:
    """Return a new Keras optimizer with what the settings say.

    A setting that is None has Keras' own default, but for the momentum: 0.9, since Keras' 0 would
    be plain descent. Weight decay is apart from the gradient in all of them (Loshchilov and Hutter
    2019), clipping before everything else; `clip_norm` is of the gradient of all weights together
    (Pascanu et al. 2013).
    """
    import keras  # not at the top: settings are checked without a backend

    own = {
        name: value
        for name in OPTIMIZERS[train.optimizer]
        if (value := getattr(train, name)) is not None
    }
    shared = {
        "learning_rate": train.learning_rate,
        "weight_decay": train.weight_decay,
        "global_clipnorm": train.clip_norm,
        "clipvalue": train.clip_value,
    }
    match train.optimizer:
        case "sgd":
            return keras.optimizers.SGD(**shared)
        case "momentum":
            return keras.optimizers.SGD(**{"momentum": DEFAULT_MOMENTUM, **own}, **shared)
        case "rmsprop":
            return keras.optimizers.RMSprop(**own, **shared)
        case "adam":
            return keras.optimizers.Adam(**own, **shared)
        case _:
            return keras.optimizers.AdamW(**own, **{**shared, "weight_decay": decay_of(train)})


def _owners(parameter: str) -> str:
    *others, last = [name for name, own in OPTIMIZERS.items() if parameter in own]
    return f"the optimizers {', '.join(others)} and {last}" if others else f"the optimizer '{last}'"
