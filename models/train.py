"""The [train] table: everything about a training but the network and the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from models.errors import RequestError
from models.losses import check_loss, check_smoothing, check_task
from models.optimizers import check_optimizer
from models.settings import Settings
from models.tasks import DEFAULT_LOSS, Task


class TrainSettings(Settings):
    """How a network is trained; the fields are the keys of [train]."""

    epochs: int = Field(default=10, ge=1, description="How many times every training image is seen.")
    batch_size: int = Field(default=32, ge=1, description="How many images each step averages its gradient over.")
    learning_rate: float = Field(
        default=1e-3, gt=0, allow_inf_nan=False, description="How far a step goes along its direction."
    )
    optimizer: Annotated[str, AfterValidator(check_optimizer)] = Field(
        default="adam", description="How a gradient becomes a step: sgd, momentum, rmsprop, adam or adamw."
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
    weight_decay: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="The part of every weight, times the learning rate, that a step takes off apart from the gradient: "
        "0.004 with adamw and none with the others unless said.",
    )

    @classmethod
    def read_for(cls, task: Task, table: Mapping[str, Any], where: str) -> Self:
        """Build the settings of a training for this task, with its own loss unless the table names one.

        Raises:
            RequestError: the first thing that is wrong, in one line.
        """
        train = cls.read({"loss": DEFAULT_LOSS[task], **table}, where)
        check_task(train, task)
        return train

    @model_validator(mode="after")
    def _smoothing_is_used(self) -> Self:
        check_smoothing(self)
        return self

    @model_validator(mode="after")
    def _momentum_is_used(self) -> Self:
        if self.momentum is not None and self.optimizer != "momentum":
            raise RequestError(
                f"momentum is a setting of the optimizer 'momentum' alone: received momentum = {self.momentum} with "
                f"optimizer = {self.optimizer!r}; remove one or change the other."
            )
        return self
