"""Schedules by name: the learning rate of every step of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assay.models.errors import RequestError
from assay.models.names import check_name

if TYPE_CHECKING:
    from assay.models.training.config import TrainSettings

SCHEDULES: Mapping[str, tuple[str, ...]] = {
    "constant": (),
    "step": ("step_epochs", "step_factor"),
    "cosine": ("final_fraction",),
}
"""Every schedule, and its own settings."""

DEFAULT_STEPS = 3
"""Into how many parts of one rate each a training falls unless `step_epochs` is said."""
DEFAULT_STEP_FACTOR = 0.1
"""He et al. 2016, section 3.4: the rate is divided by 10."""
DEFAULT_FINAL_FRACTION = 0.0
"""Loshchilov and Hutter 2017, section 4: down to 0."""


def check_schedule(name: str) -> str:
    """Return `name` if it is a schedule.

    Raises:
        RequestError: it is not.
    """
    return check_name("schedule", name, SCHEDULES)


def check_schedule_settings(train: TrainSettings) -> None:
    """See that the schedule reads whatever of its settings are given, and that warming up ends
    within the training.

    Raises:
        RequestError: it does not.
    """
    for owner, own in SCHEDULES.items():
        for name in own:
            if getattr(train, name) is not None and train.schedule != owner:
                raise RequestError(
                    f"{name} is a setting of the schedule {owner!r} alone: received {name} = {getattr(train, name)} "
                    f"with schedule = {train.schedule!r}; remove one or change the other."
                )
    if train.warmup_epochs > train.epochs:
        raise RequestError(
            f"warmup_epochs must not be longer than the training: received warmup_epochs = {train.warmup_epochs} with "
            f"epochs = {train.epochs}; shorten the one or lengthen the other."
        )


def is_scheduled(train: TrainSettings) -> bool:
    """Return whether the learning rate ever changes."""
    return train.schedule != "constant" or train.warmup_epochs > 0


def rates(train: TrainSettings, steps_per_epoch: int) -> NDArray[np.float32]:
    """Return the learning rate of every step, float32 (epochs * steps_per_epoch,).

    Of T steps s = 0, 1, ..., of which the first W = warmup_epochs * steps_per_epoch warm up (Goyal
    et al. 2017, section 2.2), a step has learning_rate * min(1, (s + 1) / W) times

    - constant: 1;
    - step: step_factor ^ k after k times `step_epochs` epochs, counted from the start of the
      training;
    - cosine: f + (1 - f) (1 + cos(pi p)) / 2 with f the final_fraction and p = (s - W) / (T - W), 0
      while warming up: half a cosine from 1 to f (Loshchilov and Hutter 2017, equation 5).

    Warming up thus goes along a line from 0, which would be the rate of the step before the first.
    """
    total_steps = train.epochs * steps_per_epoch
    step = np.arange(total_steps)
    warmup_steps = train.warmup_epochs * steps_per_epoch
    rate = train.learning_rate * _fractions(
        train, step / steps_per_epoch, _progress(step, warmup_steps, total_steps)
    )
    if warmup_steps > 0:
        rate = rate * np.minimum(1.0, (step + 1) / warmup_steps)
    return rate.astype(np.float32)


def _progress(step: NDArray[np.int_], warmup_steps: float, total_steps: int) -> NDArray[np.float64]:
    """Return how much of the training after warming up lies behind each step, from 0 to 1."""
    left = max(
        total_steps - warmup_steps, 1.0
    )  # nothing is left of a training that warms up all the time
    behind: NDArray[np.float64] = np.maximum(step - warmup_steps, 0.0) / left
    return behind


def _fractions(
    train: TrainSettings, epoch: NDArray[np.float64], progress: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return what of the learning rate each step has, warming up apart."""
    match train.schedule:
        case "step":
            factor = DEFAULT_STEP_FACTOR if train.step_factor is None else train.step_factor
            every = train.epochs / DEFAULT_STEPS if train.step_epochs is None else train.step_epochs
            return factor ** np.floor(epoch / every)
        case "cosine":
            final = DEFAULT_FINAL_FRACTION if train.final_fraction is None else train.final_fraction
            return final + (1 - final) * (1 + np.cos(np.pi * progress)) / 2
        case _:
            return np.ones_like(progress)
