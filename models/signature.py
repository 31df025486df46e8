"""The signature of a trial: what the code that is compiled to train it depends on, and nothing else."""

from __future__ import annotations

import json

from models import augmentation, schedules
from models.assignment import Assignment
from models.optimizers import has_weight_decay

NOT_COMPILED = frozenset(
    {
        # Numbers that training reads from variables or is given with every epoch.
        *("learning_rate", "schedule", *(name for own in schedules.SCHEDULES.values() for name in own)),
        *("warmup_epochs", "flip"),
        # What happens between epochs.
        *("epochs", "early_stopping"),
    }
)
"""Settings of [train] whose values no compiled epoch has in it."""


def signature(assignment: Assignment, *, decay_is_compiled: bool = True, batch_is_compiled: bool = True) -> str:
    """Return a text that two trials share just when one's compiled epoch also trains the other.

    All that makes them differ is then in variables (weights, seeds, learning rate) or in what an epoch is given (order,
    rates, windows). Of data it has the folder's path: whether that still holds the same arrays is not looked at.

    Args:
        assignment: the trial.
        decay_is_compiled: whether the amount of weight decay is a constant of the compiled code, as Keras' optimizers
            have it; if not, only whether there is any counts.
        batch_is_compiled: whether the batch size is, and so counts.

    Raises:
        RequestError: the assignment can't be trained.
    """
    recipe = assignment.recipe()
    train = recipe.train
    settings = {name: value for name, value in train.model_dump().items() if name not in NOT_COMPILED}
    if not decay_is_compiled:
        settings["weight_decay"] = has_weight_decay(train)
    if not batch_is_compiled:
        del settings["batch_size"]
    parts = {
        "task": assignment.task,
        "family": assignment.family,
        "folders": assignment.folders,
        "model": recipe.model.model_dump(),
        "train": settings,
        "scheduled": schedules.is_scheduled(train),
        "augmented": augmentation.is_augmented(train),
        "data": assignment.data.model_dump(),
    }
    return json.dumps(parts, sort_keys=True)
