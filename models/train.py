"""The [train] table: everything about a training but the network and the data."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from models.errors import RequestError
from models.losses import check_loss
from models.optimizers import check_optimizer
from models.settings import Settings


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
        default="cross_entropy", description="What training brings down: cross_entropy, from logits."
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

    @model_validator(mode="after")
    def _momentum_is_used(self) -> Self:
        if self.momentum is not None and self.optimizer != "momentum":
            raise RequestError(
                f"momentum is a setting of the optimizer 'momentum' alone: received momentum = {self.momentum} with "
                f"optimizer = {self.optimizer!r}; remove one or change the other."
            )
        return self
