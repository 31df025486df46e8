"""Models that come compiled out of a user's own factory: what of theirs stays, and what of [train]
they exclude.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.models.architectures.registry import Family
from assay.models.errors import RequestError
from assay.models.tasks import DEFAULT_LOSS, Task
from assay.models.training.config import TrainSettings
from assay.models.training.optimizers import OWN

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
"""Settings of [train] that say nothing of the optimizer."""


def check_optimizer(family: Family[Any], train: TrainSettings) -> None:
    """See that the optimizer "own" is there to be had, and that nothing is asked of it that it is
    left alone with.

    Raises:
        RequestError: the family is built in, or a setting such as learning_rate is given.
    """
    if train.optimizer != OWN:
        return
    if family.factory is None:
        raise RequestError(
            f"[train] optimizer: {OWN!r} is for factories of one's own, whose models come compiled; received family = "
            f"{family.name!r}; take another optimizer."
        )
    for name, field in TrainSettings.model_fields.items():
        value = getattr(train, name)
        # Whoever gives the default asks for nothing that could be missed.
        if name not in _WITH_ANY_OPTIMIZER and value != field.default:
            raise RequestError(
                f"[train] {name}: the optimizer {OWN!r} is left as the factory made it; received {name} = {value!r}; "
                f"remove it, or give it to the factory under a name of its own."
            )


def is_left_alone(model: keras.Model, train: TrainSettings, task: Task) -> bool:
    """Return whether a model stays compiled as it came.

    Raises:
        RequestError: it came uncompiled although its own optimizer is asked for; or it came with a
            loss, and another is asked for.
    """
    if not model.compiled:
        if train.optimizer == OWN:
            raise RequestError(
                f"[train] optimizer: {OWN!r} needs a factory that compiles its model: received one that is not; "
                f"compile it there, or take another optimizer."
            )
        return False
    for name, default in (("loss", DEFAULT_LOSS[task]), ("label_smoothing", None)):
        if (value := getattr(train, name)) != default:
            raise RequestError(
                f"[train] {name}: a model that comes compiled keeps its own loss: received {name} = {value!r}; remove "
                f"it, or do not compile the model."
            )
    return train.optimizer == OWN


def replace_optimizer(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> keras.Model:
    """Compile a compiled model anew, the same but for its optimizer."""
    import keras  # not at the top: settings are checked without a backend

    # Keras' own method: a subclass's may take other arguments, and what it chose beside these stays
    # as it is. `get_compile_config` would give them serialised, which functions of the user's own
    # do not survive.
    keras.Model.compile(model, **{**model._compile_config.config, "optimizer": optimizer})
    return model
