"""What a search makes better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from assay.models.errors import RequestError
from assay.models.names import check_name

Direction = Literal["maximize", "minimize"]

COSTS = ("parameters", "epoch_seconds", "train_seconds", "peak_memory_bytes")
"""What a trial is measured to cost as it ends; any other metric is one of every epoch."""

Values = tuple[float, ...]
"""A trial's value of each objective, in their order."""


@dataclass(frozen=True)
class Objective:
    """A metric, and which way is better."""

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
        if not metric.strip():
            raise RequestError(
                f"an objective is a direction and a metric: received {text!r}; write '{text} val_loss'."
            )
        return cls("maximize" if direction == "maximize" else "minimize", metric.strip())

    def __str__(self) -> str:
        return f"{self.direction} {self.metric}"

    def better(self, value: float, than: float) -> bool:
        """Return whether one value is better than another."""
        return value > than if self.direction == "maximize" else value < than


@dataclass(frozen=True)
class Objectives:
    """One objective, or several that are weighed against each other."""

    each: tuple[Objective, ...]

    @classmethod
    def read(cls, texts: Sequence[str]) -> Objectives:
        """Read ["maximize val_accuracy", "minimize parameters"].

        Raises:
            RequestError: there is none, one is no objective, or two are of one metric.
        """
        each = tuple(Objective.read(text) for text in texts)
        if not each:
            raise RequestError(
                "a search needs an objective, such as ['maximize val_accuracy']; received none."
            )
        if len({objective.metric for objective in each}) < len(each):
            raise RequestError(
                f"each metric may be one objective; received {[str(objective) for objective in each]}."
            )
        return cls(each)

    def __str__(self) -> str:
        return ", ".join(map(str, self.each))

    def __len__(self) -> int:
        return len(self.each)

    @property
    def single(self) -> Objective | None:
        """The objective, if there is just one."""
        return self.each[0] if len(self.each) == 1 else None

    @property
    def by_epoch(self) -> Objective | None:
        """The objective if it is the only one and measured in every epoch: only then can trials be
        pruned.
        """
        return self.single if self.single is not None and self.single.metric not in COSTS else None

    @property
    def epoch_metrics(self) -> list[str]:
        """The metrics among the objectives that every epoch measures."""
        return [objective.metric for objective in self.each if objective.metric not in COSTS]

    def values(self, metrics: Mapping[str, float]) -> Values | None:
        """Return the value of each objective; None while one of them is not measured yet."""
        if any(objective.metric not in metrics for objective in self.each):
            return None
        return tuple(float(metrics[objective.metric]) for objective in self.each)

    def dominates(self, one: Values, other: Values) -> bool:
        """Return whether one trial is at least as good in everything, and better in something."""
        pairs = list(zip(self.each, one, other, strict=True))
        return any(objective.better(a, b) for objective, a, b in pairs) and not any(
            objective.better(b, a) for objective, a, b in pairs
        )


class ParetoFront:
    """The trials that no other dominates: with one objective the best, with several the Pareto
    front.

    Of equals the one of the lowest number stays, whichever ended first: whoever counts them again,
    in another order, finds the same. (Optuna's `best_trial` names the one or the other, by its
    storage.)

    Args:
        objectives: what is made better.
        complete: the values of the complete trials that there are, by number.
    """

    def __init__(
        self, objectives: Objectives, complete: Mapping[int, Values] = MappingProxyType({})
    ) -> None:
        self._objectives = objectives
        self.values: dict[int, Values] = {}
        for number, values in complete.items():
            self.add(number, values)

    def admits(self, number: int, values: Values) -> bool:
        """Return whether a trial of this number and these values would be among them."""
        return not any(
            self._comes_before((other, known), (number, values))
            for other, known in self.values.items()
        )

    def add(self, number: int, values: Values) -> None:
        """Take a complete trial into account."""
        if self.admits(number, values):
            left = {
                other: known
                for other, known in self.values.items()
                if not self._comes_before((number, values), (other, known))
            }
            self.values = {**left, number: values}

    def ranked(self) -> dict[int, Values]:
        """Return them as the first objective ranks them, the best first."""
        sign = -1 if self._objectives.each[0].direction == "maximize" else 1
        return dict(sorted(self.values.items(), key=lambda item: sign * item[1][0]))

    def _comes_before(self, one: tuple[int, Values], other: tuple[int, Values]) -> bool:
        (number, values), (others, known) = one, other
        return self._objectives.dominates(values, known) or (values == known and number < others)
