"""What happens in a study, as plain records: the vocabulary of the journal.

Everything that tracking and display ever learn about a study, they learn from these.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["complete", "pruned", "failed"]
Closing = Literal["finished", "failed", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class StudyOpened:
    """A supervisor took up the study, for the first time or once more; or, with no study, a single
    run.

    `study_id` tells it from others of the same name. `provenance` is what a reader needs to judge
    and repeat the results, by tag name; `text` is the experiment's file; `data` says what the
    inputs are: `input_shape`, `classes`, and the scaling they went through. `supervisor` is on
    every trial that this supervisor takes, where others may take trials of the same study.
    """

    study: str | None
    study_id: str
    experiment: str
    provenance: Mapping[str, str]
    text: str
    data: Mapping[str, Any]
    supervisor: str = ""
    time: float = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True)
class TrialBegun:
    """A trial has its parameters and is about to be handed to a worker.

    `attempt` counts from 1; a later one says by `retry_of` which trial's worker died.
    """

    trial: int
    seed: int
    params: Mapping[str, Any]
    searched: Mapping[str, Any]
    origin: str
    attempt: int = 1
    retry_of: int | None = None
    time: float = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True)
class EpochEnded:
    """One epoch of a trial: training and validation; epochs count from 1."""

    trial: int
    epoch: int
    metrics: Mapping[str, float]
    seconds: float
    time: float = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True)
class TrialEnded:
    """The end of a trial: nothing more will be said of it.

    `values` has one for each objective, nothing for a failed trial. `reason` says why a trial
    failed, in a word or two; `error` is the text behind it, when there is one.
    """

    trial: int
    state: State
    values: tuple[float, ...] = ()
    reason: str | None = None
    error: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    time: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))  # JSON has lists

    @property
    def value(self) -> float | None:
        """The value of the only objective, if there is just one and the trial has it."""
        return self.values[0] if len(self.values) == 1 else None

    @property
    def is_interrupted(self) -> bool:
        """Whether somebody ended the search, or its supervisor died: no fault of the trial."""
        return self.reason == "interrupted"

    @property
    def is_crashed(self) -> bool:
        """Whether the worker died by itself."""
        return self.reason is not None and self.reason.startswith("crashed")

    @property
    def label(self) -> str:
        """The state as MLflow and Optuna show it: `complete`, `pruned` or `failed: REASON`."""
        return f"failed: {self.reason}" if self.state == "failed" else self.state


@dataclass(frozen=True)
class BestTrial:
    """One of the best complete trials of a study: its values, and the file of its model if that was
    kept.
    """

    trial: int
    values: tuple[float, ...]
    model: str | None = None


@dataclass(frozen=True, kw_only=True)
class StudyClosed:
    """The supervisor let go of the study; `best` holds its best trial, or with several objectives
    the Pareto front.
    """

    closing: Closing
    best: tuple[BestTrial, ...] = ()
    time: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        given: tuple[Any, ...] = self.best  # JSON has mappings and lists
        best = (one if isinstance(one, BestTrial) else BestTrial(**one) for one in given)
        object.__setattr__(
            self, "best", tuple(dataclasses.replace(one, values=tuple(one.values)) for one in best)
        )


Event = StudyOpened | TrialBegun | EpochEnded | TrialEnded | StudyClosed

_KINDS: dict[str, type[Event]] = {
    "study_opened": StudyOpened,
    "trial_begun": TrialBegun,
    "epoch_ended": EpochEnded,
    "trial_ended": TrialEnded,
    "study_closed": StudyClosed,
}
NAMES = {kind: name for name, kind in _KINDS.items()}
"""What each kind of event is called in a journal."""


def to_record(event: Event) -> dict[str, Any]:
    """Return the event as plain values, ready for JSON."""
    return {"event": NAMES[type(event)], **dataclasses.asdict(event)}


def from_record(record: Mapping[str, Any]) -> Event:
    """Return the event that `to_record` turned into `record`."""
    values = dict(record)
    return _KINDS[values.pop("event")](**values)
