"""Events of a study: the records that its journal holds.

Tracking and displays know of a study only what these events say. Names of classes and fields are
the journal's format: files of earlier releases are still read.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from assay.models.code_files import CodeFile

StoredInteger = Annotated[int, Field(ge=0, lt=2**63)]
"""An integer that the stores can hold."""

Number = Annotated[int, Field(ge=-(2**63), lt=2**63)] | float
"""A metric: an integer stays one, such as a number of parameters. It may be NaN or infinite, but no
integer that is larger than any float."""

Time = Annotated[float, Field(ge=-1e11, le=1e11)]
"""Seconds since the epoch, with a limit that stores can hold in milliseconds."""

MOST_NAMES = 10_000
"""Most names in one mapping of an event, such as hyperparameters or metrics."""

STUDY_ID_PATTERN = r"^[\w.-]{1,100}$"
"""Of a study's id, which stores search by."""

State = Literal["complete", "pruned", "failed"]
Closing = Literal["finished", "failed", "interrupted"]

INTERRUPTED_LABEL = "failed: interrupted"
"""Label of a trial whose search was stopped, or whose supervisor died: no fault of the trial."""
CRASHED_LABEL = "failed: crashed"
"""Beginning of the label of a trial whose worker died; the signal or exit status follows."""


@dataclass(frozen=True)
class RecordedExperiment:
    """An experiment with everything that was set.

    Attributes:
        toml: the experiment as TOML.
        file: path of its file, relative to home; None for one of the catalogue.
        set_names: names as `--set` received them, by qualified name.
    """

    toml: str
    file: str | None = None
    set_names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FinalistConfiguration:
    """A configuration that finalize trains again.

    Attributes:
        trial: number of the trial that it is from.
        searched: the searched hyperparameters by name.
        is_baseline: whether it is a baseline of the experiment.
        search_value: the trial's value of the objective by which validation chooses the leader, the
            first that is no cost; None if it was not complete.
    """

    trial: StoredInteger
    searched: Mapping[str, Any]
    is_baseline: bool = False
    search_value: Number | None = None


@dataclass(frozen=True)
class FinalizePlan:
    """What a finalize trains.

    Attributes:
        opening: which opening of the study's test set it is, from 1.
        top: number of best configurations that were asked for.
        seeds: number of seeds of each configuration.
        splits: whether each seed has a validation split of its own.
        seed: derived from the seed and the name of the study; the seeds of the trainings are
            derived from it.
        finalists: the configurations.
        register: whether the leader is registered in MLflow.
    """

    opening: Annotated[int, Field(ge=1, lt=2**31)]
    top: Annotated[int, Field(ge=1, lt=2**31)]
    seeds: Annotated[int, Field(ge=1, lt=2**31)]
    splits: bool
    seed: StoredInteger
    finalists: tuple[FinalistConfiguration, ...]
    register: bool = True


@dataclass(frozen=True, kw_only=True)
class StudyOpened:
    """A supervisor has opened a study, new or resumed, or begun a single training.

    Attributes:
        study: name of the study; None for a single training.
        study_id: tells the study from others of the same name.
        experiment: name of the experiment.
        provenance: what is needed to judge and repeat the results, by MLflow tag.
        text: the experiment's TOML file.
        resolved: the experiment with everything that was set; None in journals of earlier releases.
        code: the files of the user's own code.
        packages: versions of all installed packages by name; empty in journals of earlier releases.
        data: the inputs: name, digest, `input_shape`, `classes`, and their scaling.
        name: name of a single training's run; empty of a study, and in journals of earlier
            releases.
        fixed: every hyperparameter that is not searched by name; empty in journals of earlier
            releases.
        searched: names of the searched hyperparameters; empty likewise.
        supervisor: the id on every trial of this supervisor, in a storage that several
            supervisors share; else empty.
        finalize: in the journal of a finalize, what it trains; None in that of a sweep.
        time: seconds since the epoch, as in all events.
    """

    study: str | None
    study_id: Annotated[str, Field(pattern=STUDY_ID_PATTERN)]
    experiment: str
    provenance: Mapping[str, str]
    text: str
    data: Mapping[str, Any]
    resolved: RecordedExperiment | None = None
    code: tuple[CodeFile, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    searched: tuple[str, ...] = ()
    supervisor: str = ""
    finalize: FinalizePlan | None = None
    time: Time = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True)
class TrialBegun:
    """A trial has its hyperparameters and is about to be sent to a worker.

    Attributes:
        trial: number of the trial.
        seed: random seed of the trial.
        params: every hyperparameter by name.
        searched: those of them that are searched.
        origin: where the configuration comes from: a sampler, the user, an earlier trial.
        attempt: number of attempts at this configuration, from 1.
        retry_of: in a later attempt, the trial whose worker died.
        finalist: in the journal of a finalize, the trial whose configuration is trained again;
            `trial` then numbers the trainings of the journal.
    """

    trial: StoredInteger
    seed: StoredInteger
    params: Mapping[str, Any]
    searched: Mapping[str, Any]
    origin: str
    attempt: StoredInteger = 1
    retry_of: StoredInteger | None = None
    finalist: StoredInteger | None = None
    time: Time = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True)
class EpochEnded:
    """A trial has trained and validated an epoch.

    Attributes:
        trial: number of the trial.
        epoch: number of the epoch, from 1.
        metrics: what was measured.
        seconds: wall time; of trials that train together, an equal share.
        lanes: number of trials that the program of this epoch trained together. Results depend on
            it, in their last digits.
    """

    trial: StoredInteger
    epoch: StoredInteger
    metrics: Mapping[str, Number]
    seconds: float
    lanes: StoredInteger = 1
    time: Time = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True)
class TrialEnded:
    """A trial has ended.

    Attributes:
        trial: number of the trial.
        state: complete, pruned or failed.
        values: the value of each objective; empty for a failed trial.
        reason: why the trial failed, in a word or two.
        error: the message or traceback behind it, if there is one.
        metrics: the trial's costs, such as `train_seconds`.
    """

    trial: StoredInteger
    state: State
    values: tuple[Number, ...] = ()
    reason: str | None = None
    error: str | None = None
    metrics: Mapping[str, Number] = field(default_factory=dict)
    time: Time = field(default_factory=time.time)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))  # JSON has lists

    @property
    def value(self) -> float | None:
        """The value of the objective, if there is one and the trial has its value."""
        return self.values[0] if len(self.values) == 1 else None

    @property
    def label(self) -> str:
        """The state as MLflow and Optuna show it: `complete`, `pruned` or `failed: REASON`."""
        return f"failed: {self.reason}" if self.state == "failed" else self.state


@dataclass(frozen=True, kw_only=True)
class TestSetOpened:
    """A finalize is about to read the test set for the first time.

    Attributes:
        opening: which opening of the study's test set it is, from 1.
        leader: the trial whose configuration has the best validation score over the seeds.
        trials: the trials whose configurations are measured.
    """

    __test__ = False  # pytest takes the name for that of a test

    opening: StoredInteger
    leader: StoredInteger
    trials: tuple[StoredInteger, ...]
    time: Time = field(default_factory=time.time)

    def __post_init__(self) -> None:
        object.__setattr__(self, "trials", tuple(self.trials))  # JSON has lists


@dataclass(frozen=True, kw_only=True)
class FinalistTested:
    """A trained network was measured on the test set.

    Attributes:
        trial: number of the training.
        metrics: metrics on the test set, such as `test_accuracy`; empty after an error.
        error: why it could not be measured; None if it was.
    """

    trial: StoredInteger
    metrics: Mapping[str, Number] = field(default_factory=dict)
    error: str | None = None
    time: Time = field(default_factory=time.time)


@dataclass(frozen=True)
class Registration:
    """The network of a finalize that is to be registered.

    Attributes:
        training: number of the training that made it.
        unsaved: why it can't be registered; None if it was saved.
        description: what it is, as Markdown.
        tags: measures and facts about it, by the name of the tag.
    """

    training: StoredInteger
    unsaved: str | None = None
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FinalizeJudged:
    """A finalize has its verdicts.

    Attributes:
        opening: which opening of the study's test set it was, from 1.
        leader: the trial whose configuration leads.
        verdicts: what its comparison with the leader says of each other configuration, by the
            number of its trial.
        registration: the leader's network that is to be registered; None if none was asked for,
            and in journals of earlier releases.
        text: what it found, one sentence each; empty in journals of earlier releases.
    """

    opening: StoredInteger
    leader: StoredInteger
    verdicts: Mapping[str, str]
    registration: Registration | None = None
    text: tuple[str, ...] = ()
    time: Time = field(default_factory=time.time)


@dataclass(frozen=True)
class BestTrial:
    """One of the best trials, with its values and the file of its model."""

    trial: StoredInteger
    values: tuple[Number, ...]
    model: str | None = None


@dataclass(frozen=True, kw_only=True)
class StudyClosed:
    """A supervisor has closed a study.

    Attributes:
        closing: how it ended.
        best: the best trial; with several objectives the Pareto front.
        tags: what the study shows, by MLflow tag; empty in journals of earlier releases.
    """

    closing: Closing
    best: tuple[BestTrial, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    time: Time = field(default_factory=time.time)

    def __post_init__(self) -> None:
        loaded: tuple[Any, ...] = self.best  # JSON has mappings and lists
        best = (item if isinstance(item, BestTrial) else BestTrial(**item) for item in loaded)
        object.__setattr__(
            self,
            "best",
            tuple(dataclasses.replace(trial, values=tuple(trial.values)) for trial in best),
        )


Event = (
    StudyOpened
    | TrialBegun
    | EpochEnded
    | TrialEnded
    | TestSetOpened
    | FinalistTested
    | FinalizeJudged
    | StudyClosed
)

_EVENT_TYPES: dict[str, type[Event]] = {
    "study_opened": StudyOpened,
    "trial_begun": TrialBegun,
    "epoch_ended": EpochEnded,
    "trial_ended": TrialEnded,
    "test_set_opened": TestSetOpened,
    "finalist_tested": FinalistTested,
    "finalize_judged": FinalizeJudged,
    "study_closed": StudyClosed,
}
EVENT_NAMES = {kind: name for name, kind in _EVENT_TYPES.items()}
"""Name of each event in a journal."""


def to_record(event: Event) -> dict[str, Any]:
    """Return an event as plain values, ready for JSON."""
    return {"event": EVENT_NAMES[type(event)], **dataclasses.asdict(event)}


def from_record(record: object) -> Event:
    """Return the event of a record that `to_record` made.

    Raises:
        ValueError: it is no such record; the message is a line.
    """
    if not isinstance(record, dict):
        raise ValueError("it is no JSON object")
    name = record.get("event")
    if not isinstance(name, str) or name not in _EVENT_TYPES:
        raise ValueError(f"there is no event {str(name)[:40]!r}")
    values = {key: value for key, value in record.items() if key != "event"}
    for key, value in values.items():
        if isinstance(value, dict) and len(value) > MOST_NAMES:
            raise ValueError(f"{name} {key}: it has {len(value):,} names, over {MOST_NAMES:,}")
    try:
        return _validator(name).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{name} {place}: {first['msg']}") from None


@functools.cache
def _validator(name: str) -> TypeAdapter[Event]:
    return TypeAdapter(_EVENT_TYPES[name])
