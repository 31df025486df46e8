"""The specification of a trial, and its compile key."""

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
from assay.models.training.config import SCHEDULES, TrainSettings
from assay.models.training.optimizers import has_weight_decay


class DataSpec(Settings):
    """The prepared data of a trial.

    Attributes:
        folder: the prepared folder.
        scale: scaling of the inputs.
        centred: whether targets with a large offset are trained on without it.
    """

    folder: str
    scale: str = "unit"
    centred: bool = True


class TrialSpec(Settings):
    """What a worker trains.

    Attributes:
        seed: seed of the weights, and of the inputs unless `order_seed` is given.
        order_seed: seed of batch order and augmentation, which trials of a trial batch share.
        task: what the network predicts.
        family: name of a family or of a user-defined factory.
        folders: where a user's files and modules are looked for.
        model: [model] without the family.
        train: [train].
        data: the prepared data.
        lanes: number of trials that a program trains together in each epoch, to train as in a trial
            batch of the past; empty for as many as there are.
        code: SHA-256 of the files of a user-defined factory, by displayed name; empty if unknown.
        checkpoint: path of the checkpoint file, written after every epoch; if it exists, training
            continues from it.
    """

    # These names are in the digest, and so in checkpoints on users' disks.
    seed: int = Field(ge=0, lt=2**32)
    order_seed: int | None = Field(default=None, ge=0)
    task: Task = "classification"
    family: str
    folders: list[str] = Field(default_factory=list)
    model: dict[str, Any] = Field(default_factory=dict)
    train: dict[str, Any] = Field(default_factory=dict)
    data: DataSpec
    lanes: list[int] = Field(default_factory=list)
    code: dict[str, str] = Field(default_factory=dict)
    checkpoint: str | None = None

    def digest(self) -> str:
        """Return a digest that does not depend on paths."""
        content = self.model_dump(exclude={"checkpoint", "folders", "code", "lanes"})
        # The name of the folder contains the digest of the data.
        content["data"]["folder"] = Path(self.data.folder).name
        if self.data.centred:  # checkpoints of earlier releases know no other
            del content["data"]["centred"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def input_seed(self) -> int:
        """Seed of batch order and augmentation."""
        return self.seed if self.order_seed is None else self.order_seed

    def recipe(self) -> Recipe:
        """Return the recipe of the trial.

        Raises:
            RequestError: the family is unknown, or a setting is wrong.
        """
        family = get_family(self.family, self.folders, self.task)
        train = TrainSettings.read_for(self.task, self.train, "[train]")
        check_optimizer(family, train)
        return Recipe(family, family.settings.read(self.model, "[model]"), train, self.task)


NOT_COMPILED = frozenset(
    {
        # Read from variables, or given to every epoch.
        "learning_rate",
        "schedule",
        *(name for settings in SCHEDULES.values() for name in settings),
        "warmup_epochs",
        "flip",
        # Used between epochs.
        "epochs",
        "early_stopping",
    }
)
"""Settings of [train] on whose values no compiled epoch depends."""


def compile_key(
    spec: TrialSpec, *, decay_is_compiled: bool = True, batch_is_compiled: bool = True
) -> str:
    """Return a text that trials with equal compiled code share.

    Such trials differ only in variables (weights, seeds, learning rate) and in what an epoch is
    given (order, learning rates, crops). Of the data, the key has the path of the folder; whether
    its content changed is not checked.

    Args:
        spec: the trial.
        decay_is_compiled: whether the weight decay is a constant in the compiled code, as in Keras'
            optimizers; if not, the key has only whether there is one.
        batch_is_compiled: whether the batch size is a constant in the compiled code.

    Raises:
        RequestError: the family is unknown, or a setting is wrong.

    Example:
        >>> first, second = (TrialSpec.read({**spec, "seed": seed}, "trial") for seed in (1, 2))
        >>> compile_key(first) == compile_key(second)
        True
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
