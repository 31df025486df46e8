"""The [train] table: its keys, and what they accept.

`losses.py`, `optimizers.py` and `schedules.py` create what the names stand for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from assay.models.errors import RequestError
from assay.models.names import check_name
from assay.models.settings import Settings
from assay.models.tasks import DEFAULT_LOSS, Task

MOST_EPOCHS = 1_000_000

LOSSES: Mapping[str, tuple[Task, ...]] = {
    "cross_entropy": ("classification",),
    "binary_cross_entropy": ("classification",),
    "hinge": ("classification",),
    "squared_error": ("classification", "regression"),
    "absolute_error": ("classification", "regression"),
}
"""Tasks by loss."""

SMOOTHED = ("cross_entropy", "binary_cross_entropy")
"""Losses that have label smoothing."""

OPTIMIZERS: Mapping[str, tuple[str, ...]] = {
    "sgd": (),
    "momentum": ("momentum", "nesterov"),
    "rmsprop": ("rho", "epsilon"),
    "adam": ("beta_1", "beta_2", "epsilon"),
    "adamw": ("beta_1", "beta_2", "epsilon"),
}
"""By optimizer, the settings that not every optimizer has."""

OWN = "own"
"""The optimizer that a user-defined model was compiled with; it is left as it is."""

DEFAULT_MOMENTUM = 0.9
"""Keras' own default, 0, would be plain gradient descent."""

DEFAULT_ADAMW_DECAY = 0.004
"""Keras' own default for AdamW."""

SCHEDULES: Mapping[str, tuple[str, ...]] = {
    "constant": (),
    "step": ("step_epochs", "step_factor"),
    "cosine": ("final_fraction",),
}
"""By schedule, its own settings."""

DEFAULT_STEPS = 3
"""Number of different learning rates in a training, without `step_epochs`."""

DEFAULT_STEP_FACTOR = 0.1
"""He et al. 2016, section 3.4: the learning rate is divided by 10."""

DEFAULT_FINAL_FRACTION = 0.0
"""Loshchilov and Hutter 2017, section 4: down to 0."""


def check_loss(name: str) -> str:
    """Return `name` if it is a loss.

    Raises:
        RequestError: the name is unknown.
    """
    return check_name("loss", name, LOSSES)


def check_optimizer(name: str) -> str:
    """Return `name` if it is an optimizer.

    Raises:
        RequestError: the name is unknown.
    """
    return check_name("optimizer", name, (*OPTIMIZERS, OWN))


def check_schedule(name: str) -> str:
    """Return `name` if it is a schedule.

    Raises:
        RequestError: the name is unknown.
    """
    return check_name("schedule", name, SCHEDULES)


class TrainSettings(Settings):
    """How a network is trained: the keys of [train].

    Example:
        >>> TrainSettings(optimizer="momentum", learning_rate=0.05, schedule="cosine", epochs=20)
    """

    epochs: int = Field(
        default=10,
        ge=1,
        le=MOST_EPOCHS,
        description="Number of passes over the training images.",
    )
    batch_size: int = Field(default=32, ge=1, description="Number of images per gradient step.")
    learning_rate: float = Field(
        default=1e-3, gt=0, allow_inf_nan=False, description="Learning rate."
    )

    optimizer: Annotated[str, AfterValidator(check_optimizer)] = Field(
        default="adam",
        description="Optimizer: sgd, momentum, rmsprop, adam or adamw; own keeps the optimizer "
        "that a user-defined model was compiled with.",
    )
    loss: Annotated[str, AfterValidator(check_loss)] = Field(
        default="cross_entropy",
        description="Loss: cross_entropy, binary_cross_entropy, hinge, squared_error or "
        "absolute_error; in regression one of the last two.",
    )
    label_smoothing: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Label smoothing of cross_entropy and binary_cross_entropy: the share of a "
        "target that is spread over all classes. Default: none.",
    )
    momentum: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Momentum of the optimizer momentum. Default: 0.9.",
    )
    nesterov: bool | None = Field(
        default=None,
        description="Whether the optimizer momentum uses Nesterov momentum. Default: false.",
    )
    rho: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Decay rate of the mean of squared gradients in rmsprop. Default: 0.9.",
    )
    beta_1: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Decay rate of the mean gradient in adam and adamw. Default: 0.9.",
    )
    beta_2: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Decay rate of the mean of squared gradients in adam and adamw. "
        "Default: 0.999.",
    )
    epsilon: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Constant added to the denominator in rmsprop, adam and adamw. Default: 1e-7.",
    )
    weight_decay: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="Decoupled weight decay: each step subtracts weight_decay * learning_rate * "
        "weight. Default: 0.004 in adamw, none in the other optimizers.",
    )
    clip_norm: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Maximum norm of the gradient of all weights together; excludes clip_value. "
        "Default: no limit.",
    )
    clip_value: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Maximum absolute value of each component of the gradient; excludes "
        "clip_norm. Default: no limit.",
    )

    schedule: Annotated[str, AfterValidator(check_schedule)] = Field(
        default="constant",
        description="Learning rate schedule: constant, step (lower in steps) or cosine (half a "
        "cosine).",
    )
    warmup_epochs: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="Number of epochs in which the learning rate first rises linearly from 0; "
        "may be fractional.",
    )
    step_epochs: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Number of epochs between two decreases of the schedule step. Default: a "
        "third of all epochs.",
    )
    step_factor: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Factor of each decrease of the schedule step. Default: 0.1.",
    )
    final_fraction: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Fraction of the learning rate at which the schedule cosine ends. Default: 0.",
    )

    early_stopping: int | None = Field(
        default=None,
        ge=1,
        description="Patience of early stopping: number of epochs in a row without a lower "
        "val_loss after which training stops. The weights of the best epoch are restored in any "
        "case. Default: no early stopping.",
    )

    flip: bool = Field(
        default=False,
        description="Whether each epoch flips each training image left to right with probability "
        "1/2.",
    )
    shift: int = Field(
        default=0,
        ge=0,
        description="Maximum number of pixels by which each epoch shifts each training image, "
        "vertically and horizontally; the border is black.",
    )

    @classmethod
    def read_for(cls, task: Task, table: Mapping[str, Any], where: str) -> Self:
        """Validate a table of plain values for a task.

        Args:
            task: its loss is the default.
            table: values by key.
            where: name of the table in error messages, such as "[train]".

        Raises:
            RequestError: a value is wrong, or the loss does not suit the task.
        """
        train = cls.read({"loss": DEFAULT_LOSS[task], **table}, where)
        check_loss_for_task(train, task)
        return train

    # A setting that nothing reads is refused: a sweep over it would compare equal trials.
    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        _check_label_smoothing(self)
        _check_optimizer_settings(self)
        _check_schedule_settings(self)
        return self


def check_loss_for_task(train: TrainSettings, task: Task) -> None:
    """Check that the loss suits the task.

    Raises:
        RequestError: it does not; the message lists the losses that do.
    """
    if task not in LOSSES[train.loss]:
        known = ", ".join(name for name, tasks in LOSSES.items() if task in tasks)
        raise RequestError(
            f"[train] loss: must be a loss for {task}: received {train.loss!r}; use one of {known}."
        )


def _check_label_smoothing(train: TrainSettings) -> None:
    if train.label_smoothing is not None and train.loss not in SMOOTHED:
        raise RequestError(
            f"label_smoothing is a setting of the losses {' and '.join(SMOOTHED)} alone: received "
            f"label_smoothing = {train.label_smoothing} with loss = {train.loss!r}; "
            "remove one or change the other."
        )


def _check_optimizer_settings(train: TrainSettings) -> None:
    for name in dict.fromkeys(name for names in OPTIMIZERS.values() for name in names):
        value = getattr(train, name)
        if value is not None and name not in OPTIMIZERS.get(train.optimizer, ()):
            raise RequestError(
                f"{name} is a setting of {_format_optimizers_with(name)} alone: received "
                f"{name} = {value} with optimizer = {train.optimizer!r}; "
                "remove one or change the other."
            )
    if train.clip_norm is not None and train.clip_value is not None:
        raise RequestError(
            "clip_norm and clip_value exclude each other: received clip_norm = "
            f"{train.clip_norm} with clip_value = {train.clip_value}; remove one."
        )


def _format_optimizers_with(setting: str) -> str:
    *others, last = [name for name, settings in OPTIMIZERS.items() if setting in settings]
    return f"the optimizers {', '.join(others)} and {last}" if others else f"the optimizer {last!r}"


def _check_schedule_settings(train: TrainSettings) -> None:
    for schedule, settings in SCHEDULES.items():
        for name in settings:
            value = getattr(train, name)
            if value is not None and train.schedule != schedule:
                raise RequestError(
                    f"{name} is a setting of the schedule {schedule!r} alone: received "
                    f"{name} = {value} with schedule = {train.schedule!r}; "
                    "remove one or change the other."
                )
    if train.warmup_epochs > train.epochs:
        raise RequestError(
            "warmup_epochs must not be longer than the training: received warmup_epochs = "
            f"{train.warmup_epochs} with epochs = {train.epochs}; "
            "shorten the one or lengthen the other."
        )
