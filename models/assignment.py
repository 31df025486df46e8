"""What a worker is told to train: plain values, checked into one frozen object."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import Field

from models.families import find
from models.precompiled import check_optimizer
from models.recipe import Recipe
from models.settings import Settings
from models.tasks import Task
from models.train import TrainSettings


class DataChoice(Settings):
    """Which prepared data, scaled how."""

    folder: str
    scale: str = "unit"


class Assignment(Settings):
    """One trial: what is trained, on what, from which seed; `folders` is where a family of one's own is looked for.

    `order_seed` is where the order of batches and the augmentation follow from, if not from the seed: trials that have
    it in common can be trained together. `checkpoint` is the file that the training is kept in after every epoch, and
    that it goes on from if there is one.
    """

    seed: int = Field(ge=0, lt=2**32)
    order_seed: int | None = Field(default=None, ge=0)
    task: Task = "classification"
    family: str
    folders: list[str] = Field(default_factory=list)
    model: dict[str, Any] = Field(default_factory=dict)
    train: dict[str, Any] = Field(default_factory=dict)
    data: DataChoice
    checkpoint: str | None = None

    def digest(self) -> str:
        """Return what tells the training from others, wherever its data and its files lie."""
        said = self.model_dump(exclude={"checkpoint", "folders"})
        said["data"]["folder"] = Path(self.data.folder).name  # which has the data's own digest in it
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
        family = find(self.family, self.folders, self.task)
        train = TrainSettings.read_for(self.task, self.train, "[train]")
        check_optimizer(family, train)
        return Recipe(family, family.settings.read(self.model, "[model]"), train, self.task)
