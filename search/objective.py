"""What a search makes better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from models.errors import RequestError
from models.names import check_name

Direction = Literal["maximize", "minimize"]
METRICS = ("accuracy", "loss", "val_accuracy", "val_loss")


@dataclass(frozen=True)
class Objective:
    """A metric of every epoch, and which way is better."""

    direction: Direction
    metric: str

    @classmethod
    def read(cls, text: str) -> Objective:
        """Read "maximize val_accuracy".

        Raises:
            RequestError: it is not a direction and a metric.
        """
        direction, _, metric = text.partition(" ")
        check_name("direction", direction, get_args(Direction))
        if not metric:
            raise RequestError(f"an objective is a direction and a metric: received {text!r}; write '{text} val_loss'.")
        check_name("metric", metric, METRICS)
        return cls("maximize" if direction == "maximize" else "minimize", metric)

    def __str__(self) -> str:
        return f"{self.direction} {self.metric}"

    def better(self, value: float, than: float) -> bool:
        """Return whether one value is better than another."""
        return value > than if self.direction == "maximize" else value < than
