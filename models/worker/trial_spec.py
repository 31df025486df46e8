"""What a worker is told to train: plain values, checked into one frozen object."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import Field

from assay.models.architectures.precompiled import check_optimizer
from assay.models.architectures.registry import get_family
from assay.models.recipe import Recipe
from assay.models.settings import Settings
from assay.models.tasks import Task
from assay.models.training import augmentation, schedules
from assay.models.training.config import TrainSettings
from assay.models.training.optimizers import has_weight_decay


class DataSpec(Settings):
    """Which prepared data, scaled how."""

    folder: str
    scale: str = "unit"


class TrialSpec(Settings):
    """One trial: what is trained, on what, from which seed; `folders` is where a family of one's
    own is looked for.

    `order_seed` is where the order of batches and the augmentation follow from, if not from the
    seed: trials that have it in common can be trained together. `checkpoint` is the file that the
        training is kept in after every epoch, and
    that it goes on from if there is one.
    """

    seed: int = Field(ge=0, lt=2**32)
    order_seed: int | None = Field(default=None, ge=0)
    task: Task = "classification"
    family: str
    folders: list[str] = Field(default_factory=list)
    model: dict[str, Any] = Field(default_factory=dict)
    train: dict[str, Any] = Field(default_factory=dict)
    data: DataSpec
    checkpoint: str | None = None

    def digest(self) -> str:
        """Return what tells the training from others, wherever its data and its files lie."""
        said = self.model_dump(exclude={"checkpoint", "folders"})
        said["data"]["folder"] = Path(
            self.data.folder
        ).name  # which has the data's own digest in it
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    @property
    def feeding_seed(self) -> int:
        """What the order of batches and the augmentation follow from."""
        return self.seed if self.order_seed is None else self.order_seed

    def recipe(self) -> Recipe:
        """Return what to do.

        Raises:
            RequestError: the family is unknown, or one of the settings can't be.
        """
        family = get_family(self.family, self.folders, self.task)
        train = TrainSettings.read_for(self.task, self.train, "[train]")
        check_optimizer(family, train)
        return Recipe(family, family.settings.read(self.model, "[model]"), train, self.task)


# The compile_key of a trial: what the code that is compiled to train it depends on, and nothing
# else.


NOT_COMPILED = frozenset(
    {
        # Numbers that training reads from variables or is given with every epoch.
        *(
            "learning_rate",
            "schedule",
            *(name for own in schedules.SCHEDULES.values() for name in own),
        ),
        *("warmup_epochs", "flip"),
        # What happens between epochs.
        *("epochs", "early_stopping"),
    }
)
"""Settings of [train] whose values no compiled epoch has in it."""


def compile_key(
    spec: TrialSpec, *, decay_is_compiled: bool = True, batch_is_compiled: bool = True
) -> str:
    """Return a text that two trials share just when one's compiled epoch also trains the other.

    All that makes them differ is then in variables (weights, seeds, learning rate) or in what an
    epoch is given (order, rates, windows). Of data it has the folder's path: whether that still
    holds the same arrays is not looked at.

    Args:
        spec: the trial.
        decay_is_compiled: whether the amount of weight decay is a constant of the compiled code, as
            Keras' optimizers have it; if not, only whether there is any counts.
        batch_is_compiled: whether the batch size is, and so counts.

    Raises:
        RequestError: the assignment can't be trained.
    """
    recipe = spec.recipe()
    train = recipe.train
    settings = {
        name: value for name, value in train.model_dump().items() if name not in NOT_COMPILED
    }
    if not decay_is_compiled:
        settings["weight_decay"] = has_weight_decay(train)
    if not batch_is_compiled:
        del settings["batch_size"]
    parts = {
        "task": spec.task,
        "family": spec.family,
        "folders": spec.folders,
        "model": recipe.model.model_dump(),
        "train": settings,
        "scheduled": schedules.is_scheduled(train),
        "augmented": augmentation.is_augmented(train),
        "data": spec.data.model_dump(),
    }
    return json.dumps(parts, sort_keys=True)
