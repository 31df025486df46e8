"""User-defined models that come compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.models import keras_compat
from assay.models.architectures.registry import Family
from assay.models.errors import RequestError
from assay.models.tasks import DEFAULT_LOSS, Task
from assay.models.training.config import OWN, TrainSettings

if TYPE_CHECKING:
    from typing import Any

    import keras

_WITH_ANY_OPTIMIZER = (
    "epochs",
    "batch_size",
    "optimizer",
    "loss",
    "label_smoothing",
    "early_stopping",
    "flip",
    "shift",
)
"""Settings of [train] that do not concern the optimizer."""


def check_optimizer(family: Family[Any], train: TrainSettings) -> None:
    """Check that the optimizer "own" can be used.

    Raises:
        RequestError: the family is built-in, or a setting of an optimizer, such as learning_rate,
            is given.
    """
    if train.optimizer != OWN:
        return
    if family.factory is None:
        raise RequestError(
            f"[train] optimizer: {OWN!r} needs a user-defined factory that compiles its model: "
            f"received family = {family.name!r}; use another optimizer."
        )
    for name, field in TrainSettings.model_fields.items():
        value = getattr(train, name)
        # A default is accepted: whether it was given makes no difference.
        if name not in _WITH_ANY_OPTIMIZER and value != field.default:
            raise RequestError(
                f"[train] {name}: the optimizer {OWN!r} is left as the factory made it; "
                f"received {name} = {value!r}; "
                f"remove it, or write 'model.{name}' for an argument of the factory."
            )


def is_left_alone(model: keras.Model, train: TrainSettings, task: Task) -> bool:
    """Return whether a model stays compiled as it came.

    Raises:
        RequestError: the model came uncompiled although its own optimizer is requested, or it came
            with a loss and another one is requested.
    """
    if not model.compiled:
        if train.optimizer == OWN:
            raise RequestError(
                f"[train] optimizer: {OWN!r} needs a factory that compiles its model: received one "
                "that is not compiled; compile it there, or use another optimizer."
            )
        return False
    for name, default in (("loss", DEFAULT_LOSS[task]), ("label_smoothing", None)):
        if (value := getattr(train, name)) != default:
            raise RequestError(
                f"[train] {name}: a model that comes compiled keeps its own loss: "
                f"received {name} = {value!r}; remove it, or do not compile the model."
            )
    return train.optimizer == OWN


def replace_optimizer(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> keras.Model:
    """Compile a compiled model with another optimizer."""
    keras_compat.replace_optimizer(model, optimizer)
    return model


def used_settings(train: TrainSettings) -> tuple[str, ...]:
    """Return the settings of [train] that a training uses.

    With the optimizer "own" they are those that do not concern the optimizer.
    """
    return _WITH_ANY_OPTIMIZER if train.optimizer == OWN else tuple(TrainSettings.model_fields)
