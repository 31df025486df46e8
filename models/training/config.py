"""The [train] table: everything about a training but the network and the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from assay.models.settings import Settings
from assay.models.tasks import DEFAULT_LOSS, Task
from assay.models.training.losses import check_loss, check_smoothing, check_task
from assay.models.training.optimizers import check_optimizer, check_parameters
from assay.models.training.schedules import check_schedule, check_schedule_settings


class TrainSettings(Settings):
    """How a network is trained; the fields are the keys of [train]."""

    epochs: int = Field(
        default=10, ge=1, description="How many times every training image is seen."
    )
    batch_size: int = Field(
        default=32, ge=1, description="How many images each step averages its gradient over."
    )
    learning_rate: float = Field(
        default=1e-3,
        gt=0,
        allow_inf_nan=False,
        description="How far a step goes along its direction.",
    )
    optimizer: Annotated[str, AfterValidator(check_optimizer)] = Field(
        default="adam",
        description="How a gradient becomes a step: sgd, momentum, rmsprop, adam or adamw; or own, what "
        "a model of one's own was compiled with.",
    )
    loss: Annotated[str, AfterValidator(check_loss)] = Field(
        default="cross_entropy",
        description="What training brings down: cross_entropy, binary_cross_entropy, hinge, squared_error or "
        "absolute_error; in regression one of the last two.",
    )
    label_smoothing: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="The part of a target that the two cross entropies spread over all classes: none unless said; no "
        "other loss has it.",
    )
    momentum: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="What the optimizer 'momentum' keeps of its last step: 0.9 unless said; no other optimizer has it.",
    )
    nesterov: bool | None = Field(
        default=None,
        description="Whether the optimizer 'momentum' takes its gradient ahead, where the momentum leads: not unless "
        "said; no other optimizer has it.",
    )
    rho: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="What rmsprop keeps of its mean of squared gradients: 0.9 unless said; no other optimizer has it.",
    )
    beta_1: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="What adam and adamw keep of their mean gradient: 0.9 unless said; no other optimizer has it.",
    )
    beta_2: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="What adam and adamw keep of their mean of squared gradients: 0.999 unless said; no other "
        "optimizer has it.",
    )
    epsilon: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="What rmsprop, adam and adamw add to the root that they divide by: 1e-7 unless said; no other "
        "optimizer has it.",
    )
    weight_decay: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="The part of every weight, times the learning rate, that a step takes off apart from the gradient: "
        "0.004 with adamw and none with the others unless said.",
    )

    clip_norm: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="The longest that the gradient of all weights together may be; a longer one is shortened. No limit "
        "unless said; excludes clip_value.",
    )
    clip_value: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="The largest that each number of the gradient may be, either way. No limit unless said; excludes "
        "clip_norm.",
    )

    schedule: Annotated[str, AfterValidator(check_schedule)] = Field(
        default="constant",
        description="How the learning rate goes on: constant, step (down in steps) or cosine (down half a cosine).",
    )
    warmup_epochs: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="How long the learning rate first rises from 0, along a line; parts of an epoch count.",
    )
    step_epochs: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="After how many epochs each the schedule 'step' goes down: a third of all unless said; no other "
        "schedule has it.",
    )
    step_factor: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="What the schedule 'step' multiplies the rate by when it goes down: 0.1 unless said; no other "
        "schedule has it.",
    )
    final_fraction: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="What of the learning rate the schedule 'cosine' ends at: 0 unless said; no other schedule has it.",
    )

    early_stopping: int | None = Field(
        default=None,
        ge=1,
        description="How many epochs in a row may bring no lower val_loss until training stops; the weights of the "
        "best epoch are restored, stopped or not. Never unless said.",
    )

    flip: bool = Field(
        default=False,
        description="Whether each epoch flips every training image left to right by an even chance.",
    )
    shift: int = Field(
        default=0,
        ge=0,
        description="By up to how many pixels each epoch moves every training image, down or up and right or left; "
        "what moves in is black.",
    )

    @classmethod
    def read_for(cls, task: Task, table: Mapping[str, Any], where: str) -> Self:
        """Build the settings of a training for this task, with its own loss unless the table names
        one.

        Raises:
            RequestError: the first thing that is wrong, in one line.
        """
        train = cls.read({"loss": DEFAULT_LOSS[task], **table}, where)
        check_task(train, task)
        return train

    @model_validator(mode="after")
    def _everything_is_used(self) -> Self:
        check_smoothing(self)
        check_parameters(self)
        check_schedule_settings(self)
        return self
