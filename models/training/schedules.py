"""Learning rate schedules by name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.models.training.config import (
    DEFAULT_FINAL_FRACTION,
    DEFAULT_STEP_FACTOR,
    DEFAULT_STEPS,
    TrainSettings,
)


def is_scheduled(train: TrainSettings) -> bool:
    """Return whether the learning rate changes during a training."""
    return train.schedule != "constant" or train.warmup_epochs > 0


def learning_rates(train: TrainSettings, steps_per_epoch: int) -> NDArray[np.float32]:
    """Return the learning rate of every step, float32 (steps,).

    With T = epochs * steps_per_epoch steps s = 0, 1, ..., of which the first
    W = warmup_epochs * steps_per_epoch warm up (Goyal et al. 2017, section 2.2), a step has
    learning_rate * min(1, (s + 1) / W) times

    - constant: 1;
    - step: step_factor ^ k after k times `step_epochs` epochs, counted from the start of the
      training;
    - cosine: f + (1 - f) (1 + cos(pi p)) / 2 with f the final_fraction and p = (s - W) / (T - W), 0
      during the warm-up: half a cosine from 1 to f (Loshchilov and Hutter 2017, equation 5).

    The warm-up is a line from 0, which would be the learning rate of the step before the first.

    Example:
        >>> learning_rates(TrainSettings(learning_rate=0.5, epochs=3, schedule="step"), 1)
        array([0.5  , 0.05 , 0.005], dtype=float32)
    """
    total_steps = train.epochs * steps_per_epoch
    step = np.arange(total_steps)
    warmup_steps = train.warmup_epochs * steps_per_epoch
    progress = _progress(step, warmup_steps, total_steps)
    rates = train.learning_rate * _schedule_factors(train, step / steps_per_epoch, progress)
    if warmup_steps > 0:
        rates = rates * np.minimum(1.0, (step + 1) / warmup_steps)
    return rates.astype(np.float32)


def _progress(step: NDArray[np.int_], warmup_steps: float, total_steps: int) -> NDArray[np.float64]:
    """Return the progress of each step after the warm-up, in [0, 1]."""
    # At least 1: a training may consist of its warm-up.
    steps_after_warmup = max(total_steps - warmup_steps, 1.0)
    progress: NDArray[np.float64] = np.maximum(step - warmup_steps, 0.0) / steps_after_warmup
    return progress


def _schedule_factors(
    train: TrainSettings, epoch: NDArray[np.float64], progress: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the factor of each step, without the warm-up."""
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
