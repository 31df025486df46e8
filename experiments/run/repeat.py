"""Recorded trainings again: reproduced, or with something changed.

`reproduce` trains a run again as it was recorded, and compares every metric of every epoch.
`read_like` makes a request for `run` of a recorded configuration (`assay run --like`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.experiments.config.experiment import Experiment
from assay.experiments.config.options import (
    DEFAULT_TOLERANCE,
    ReproduceOptions,
    RunOptions,
    as_plain,
    read_options,
)
from assay.experiments.config.request import (
    RepeatedTraining,
    RunRequest,
    choose_stores,
    read_execution,
)
from assay.experiments.run.checkout import read_checkout
from assay.experiments.run.progress import Display
from assay.experiments.run.provenance import list_packages, provenance
from assay.experiments.run.recorded import RecordedRun, find_recorded_run
from assay.experiments.run.result import RunResult
from assay.experiments.run.session import Session
from assay.experiments.run.single import run
from assay.experiments.tracking.schema import LIKE_TAG, REPRODUCES_TAG, encode_name
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError
from assay.search.system.hardware import count_cores
from assay.search.workers.protocol import Trial

_COMPARED_TAGS = {
    "assay.backend": "backend",
    "assay.device": "device",
    "assay.processor": "processor",
    "assay.precision": "precision",
    "assay.xla": "XLA",
    "assay.deterministic": "deterministic operations",
    "assay.dataset.digest": "digest of the data",
    "assay.version.python": "Python",
    "assay.keras.floatx": "Keras' floatx",
    "assay.keras.epsilon": "Keras' epsilon",
    "assay.keras.image_data_format": "Keras' image_data_format",
}
_NO_COMMIT = "none"
_OTHER_TRAINING = ("your code", "digest of")  # beginnings of what makes another training


@dataclass(frozen=True)
class Difference:
    """Something that differs from when a run was recorded.

    The attributes are the keys of `--json`.

    Attributes:
        what: its name.
        recorded: as it was; None if there was none.
        now: as it is; None if there is none.
    """

    what: str
    recorded: str | None
    now: str | None

    def __str__(self) -> str:
        return f"{self.what}: recorded {self.recorded or 'none'}, now {self.now or 'none'}"


@dataclass(frozen=True)
class MetricComparison:
    """A metric of a run beside that of its reproduction.

    The attributes are the keys of `--json`.

    Attributes:
        recorded: the value that was recorded, of the epoch that `RecordedRun.epoch` names.
        now: the value of the same epoch now; None if that was not trained.
        difference: between the two; infinite if one of them is missing or not finite.
        largest_difference: over all epochs.
        within: whether every epoch is within the tolerance.
    """

    recorded: float
    now: float | None
    difference: float
    largest_difference: float
    within: bool


@dataclass(frozen=True)
class ReproduceRequest:
    """What `reproduce` is asked for.

    Attributes:
        recorded: the run.
        run: how it is trained.
        tolerance: largest difference that passes.
    """

    recorded: RecordedRun
    run: RunRequest
    tolerance: float


@dataclass(frozen=True)
class ReproduceResult:
    """A run that was trained again.

    Attributes:
        recorded_run_id: the run.
        title: what it is, such as "trial 7 of digits-mlp".
        state: how it ended.
        result: of the training now.
        metrics: each metric beside the recorded one.
        epoch: which epoch the values are of, from 1; see `RecordedRun.epoch`.
        epochs_recorded: number of epochs that were recorded.
        epochs_now: number of epochs now, of these.
        tolerance: largest difference that passes.
        differs_now: what differs from when it was recorded.
    """

    recorded_run_id: str
    title: str
    state: str
    result: RunResult
    metrics: Mapping[str, MetricComparison]
    epoch: int
    epochs_recorded: int
    epochs_now: int
    tolerance: float
    differs_now: Sequence[Difference] = field(default_factory=tuple)

    @property
    def largest_difference(self) -> float:
        """The largest difference of any metric in any epoch."""
        return max((metric.largest_difference for metric in self.metrics.values()), default=0.0)

    @property
    def within(self) -> bool:
        """Whether every metric of every epoch is within the tolerance."""
        return all(metric.within for metric in self.metrics.values())

    @property
    def is_interrupted(self) -> bool:
        """Whether the user stopped the training."""
        return self.result.status.closing == "interrupted"

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 0 within the tolerance, else 1."""
        status = self.result.status
        if self.is_interrupted:
            return status.exit_code
        return int(not self.within or status.untracked is not None)

    @property
    def failure(self) -> str | None:
        """Why the command failed, in one line; None if it did not."""
        status = self.result.status
        if self.is_interrupted or (self.within and status.untracked is not None):
            return status.failure
        if self.within:
            return None
        if self.epochs_now < self.epochs_recorded:
            return (
                f"{self.title} was not reproduced: it trained {self.epochs_now} of "
                f"{self.epochs_recorded} epochs ({self.result.state})."
            )
        wrong = {name: one for name, one in self.metrics.items() if not one.within}
        name = max(wrong, key=lambda name: wrong[name].largest_difference)
        return (
            f"{self.title} was not reproduced: {name} differs by up to "
            f"{wrong[name].largest_difference:.4g}, which is not within the tolerance "
            f"{self.tolerance:g}."
        )

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "recorded_run_id": self.recorded_run_id,
            "run_id": self.result.run_id,
            "state": self.result.state,
            "recorded_state": self.state,
            "metrics": {name: dataclasses.asdict(metric) for name, metric in self.metrics.items()},
            "epoch": self.epoch,
            "epochs": {"recorded": self.epochs_recorded, "now": self.epochs_now},
            "largest_difference": self.largest_difference,
            "tolerance": self.tolerance,
            "within": self.within,
            "differs_now": [dataclasses.asdict(difference) for difference in self.differs_now],
        }


def read_reproduce(
    run_id: str, given: Mapping[str, Any], spell: Callable[[str], str] = str
) -> tuple[ReproduceRequest, StorePaths]:
    """Return everything that `reproduce` is asked with.

    Args:
        run_id: the recorded run's id in MLflow.
        given: values of `ReproduceOptions` by name; None counts as not given.
        spell: makes of an option's name what an error calls it, such as "--tolerance".

    Raises:
        RequestError: there is no such run, it can't be trained again, or an option does not take
            its value.
    """
    options = read_options(ReproduceOptions, given, spell)
    store_paths = choose_stores(options)
    recorded = find_recorded_run(run_id, store_paths, options["experiment"])
    # What it had: the options of `reproduce` are few.
    execution = read_execution(
        {"device": options["device"], "deterministic": options["deterministic"]},
        recorded.execution,
    )
    # All epochs, unless it ended before: it is stopped then, too.
    is_complete = recorded.state == "complete"
    repeated = RepeatedTraining(
        origin=f"reproduction of {run_id}",
        tags={REPRODUCES_TAG: run_id},
        seed=recorded.seed,
        order_seed=recorded.order_seed,
        lanes=() if execution.deterministic else recorded.lanes,
        last_epoch=None if is_complete else len(recorded.epochs),
    )
    request = RunRequest(0, execution, options["trial_timeout"], repeated=repeated)
    tolerance = DEFAULT_TOLERANCE if options["tolerance"] is None else options["tolerance"]
    return ReproduceRequest(recorded, request, tolerance), store_paths


def reproduce(
    request: ReproduceRequest, store_paths: StorePaths, display: Display
) -> ReproduceResult:
    """Train a recorded run again, and compare.

    What differs from when it was recorded is shown first.

    Args:
        request: the run, and how it is trained.
        store_paths: home and MLflow's store.
        display: shows the progress.

    Raises:
        RequestError: the run can't be trained on this machine.
    """
    recorded = request.recorded
    differs_now: list[Difference] = []

    def list_differences(session: Session) -> None:
        differs_now.extend(find_differences(recorded, session))
        display.log(f"{recorded.title}: {_count(differs_now)} from when it was recorded")
        for difference in differs_now:
            display.log(f"  {difference}")

    result = run(
        with_configuration(recorded.experiment, recorded.configuration),
        request.run,
        store_paths,
        display,
        list_differences,
    )
    now = [epoch.metrics for epoch in result.history]
    return ReproduceResult(
        recorded_run_id=recorded.run_id,
        title=recorded.title,
        state=recorded.state,
        result=result,
        metrics=compare_metrics(recorded, now, result.metrics, request.tolerance),
        epoch=recorded.epoch,
        epochs_recorded=len(recorded.epochs),
        epochs_now=min(len(now), len(recorded.epochs)),
        tolerance=request.tolerance,
        differs_now=tuple(differs_now),
    )


def _count(differences: Sequence[Difference]) -> str:
    if not differences:
        return "nothing differs"
    return f"{len(differences)} {'thing differs' if len(differences) == 1 else 'things differ'}"


def with_configuration(experiment: Experiment, configuration: Mapping[str, Any]) -> Experiment:
    """Return an experiment whose first baseline, which `run` trains, is a configuration."""
    baselines = (dict(configuration),) if configuration else ()
    return dataclasses.replace(experiment, baselines=baselines)


def compare_metrics(
    recorded: RecordedRun,
    now: Sequence[Mapping[str, float]],
    final_now: Mapping[str, float],
    tolerance: float,
) -> dict[str, MetricComparison]:
    """Return each metric beside the recorded one.

    Args:
        recorded: the run.
        now: metrics of each epoch of its reproduction.
        final_now: metrics of the reproduction that were measured once.
        tolerance: largest difference that passes, of values above 1 as a fraction of them.
    """
    names = dict.fromkeys(name for epoch in recorded.epochs for name in epoch)
    comparisons = {}
    for name in names:
        pairs = {
            number: (
                epoch[name],
                now[number - 1].get(_name_now(name, now[number - 1]))
                if number <= len(now)
                else None,
            )
            for number, epoch in enumerate(recorded.epochs, 1)
            if name in epoch
        }
        comparisons[name] = _compare(pairs, recorded.epoch, tolerance)
    for name, value in recorded.final_metrics.items():
        comparisons[name] = _compare({1: (value, final_now.get(name))}, 1, tolerance)
    return comparisons


def _name_now(name: str, metrics: Mapping[str, float]) -> str:
    # MLflow may have stored a metric under another name.
    return name if name in metrics else next((m for m in metrics if encode_name(m) == name), name)


def _compare(
    pairs: Mapping[int, tuple[float, float | None]], epoch: int, tolerance: float
) -> MetricComparison:
    """Return a metric beside the recorded one.

    Args:
        pairs: its recorded value and that of now, by epoch.
        epoch: which of them is shown; where it was not measured then, the last one.
        tolerance: see `compare_metrics`.
    """
    differences = [_difference(recorded, now) for recorded, now in pairs.values()]
    recorded, now = pairs.get(epoch, list(pairs.values())[-1])
    return MetricComparison(
        recorded=recorded,
        now=now,
        difference=_difference(recorded, now),
        largest_difference=max(differences),
        within=all(
            math.isfinite(difference) and difference <= tolerance * max(1.0, abs(value))
            for difference, (value, _) in zip(differences, pairs.values(), strict=True)
            if difference > 0
        ),
    )


def _difference(recorded: float, now: float | None) -> float:
    if now is None:
        return math.inf
    # A run that diverged has the same end: NaN, or the same infinity.
    if recorded == now or (math.isnan(recorded) and math.isnan(now)):
        return 0.0
    difference = abs(recorded - now)
    return difference if math.isfinite(difference) else math.inf


# What differs now.


def find_differences(recorded: RecordedRun, session: Session) -> list[Difference]:
    """Return what differs from when a run was recorded.

    Args:
        recorded: the run.
        session: the training that reproduces it.
    """
    return [
        *_differing_code(recorded, session),
        *_differing_params(recorded, session),
        *_differing_tags(recorded, session),
        *_differing_threads(recorded, session),
        *_differing_packages(recorded),
        *_differing_checkout(recorded, session),
    ]


def _differing_tags(recorded: RecordedRun, session: Session) -> Iterator[Difference]:
    now = provenance(
        session.preflight, session.execution, session.seed, session.batching, searching=False
    )
    for tag, what in _COMPARED_TAGS.items():
        before = recorded.tag(tag)
        if before is not None and before != now.get(tag):
            yield Difference(what, before, now.get(tag))
    together = recorded.tag("assay.fuse")
    if recorded.lanes:
        together = str(max(recorded.lanes))
    elif recorded.in_journal or together in ("off", "0"):
        together = "1"
    size = str(max(session.lanes, default=1))
    if together not in (None, size):
        yield Difference("trials that trained together, up to", together, size)


def _differing_threads(recorded: RecordedRun, session: Session) -> Iterator[Difference]:
    threads, cores = session.execution.threads, count_cores()
    if recorded.execution.threads is None:
        yield Difference("threads", None, str(threads))
    elif threads > cores:
        yield Difference("cores for its threads", str(threads), str(cores))


def _differing_packages(recorded: RecordedRun) -> Iterator[Difference]:
    before: Mapping[str, str] = recorded.opened.packages
    now = list_packages()
    if not before:
        yield Difference("installed packages", None, f"{len(now)} packages")
        return
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            yield Difference(f"package {name}", before.get(name), now.get(name))


def _differing_code(recorded: RecordedRun, session: Session) -> Iterator[Difference]:
    if session.experiment.family.factory is None:
        return
    before = {file.name: file.digest for file in recorded.opened.code}
    now = {} if session.preflight.model is None else dict(session.preflight.model.code)
    if not recorded.in_journal:
        # MLflow has the digest of all files together.
        tags = provenance(session.preflight, session.execution, 0, None, searching=False)
        digest = recorded.tag("assay.code.digest")
        if digest != tags.get("assay.code.digest"):
            yield Difference("digest of your code", digest, tags.get("assay.code.digest"))
        return
    for name in sorted({*before, *now}):
        # Of two files of one name, both digests are there.
        if before.get(name, "") not in now.get(name, "").split():
            yield Difference(f"your code {name}", before.get(name), now.get(name))


def _differing_params(recorded: RecordedRun, session: Session) -> Iterator[Difference]:
    """Yield hyperparameters that differ: a new release may have other defaults."""
    configuration = session.experiment.default_configuration()
    values = session.hyperparameters(Trial(0, configuration, seed=0, origin=""))
    now = {encode_name(name): str(value) for name, value in values.items()}
    before = {encode_name(name): value for name, value in recorded.params.items()}
    for name in dict.fromkeys((*before, *now)):
        if before.get(name) != now.get(name):
            yield Difference(f"hyperparameter {name}", before.get(name), now.get(name))


def _differing_checkout(recorded: RecordedRun, session: Session) -> Iterator[Difference]:
    checkout = read_checkout(session.experiment.path.parent)
    before, now = recorded.tag("assay.commit"), checkout.commit or _NO_COMMIT
    if before != now:
        yield Difference("commit", before, now)
    was_dirty = recorded.tag("assay.dirty")
    is_dirty = "unknown" if checkout.dirty is None else "yes" if checkout.dirty else "no"
    # Of two checkouts with changes, nothing says that the changes are the same.
    if was_dirty != is_dirty or was_dirty == "yes":
        yield Difference("changes that are not committed", was_dirty, is_dirty)


# Like a recorded run.


def read_like(
    run_id: str,
    given: Mapping[str, Any],
    spell: Callable[[str], str] = str,
) -> tuple[Experiment, RunRequest, StorePaths]:
    """Return everything that a training like a recorded one is asked with.

    What is not given is as recorded, the training's own seed included. With a seed, that of the
    training is derived from it, as in any other single training.

    Args:
        run_id: the recorded run's id in MLflow.
        given: values of `RunOptions` by name; None counts as not given.
        spell: makes of an option's name what an error calls it, such as "--seed".

    Raises:
        RequestError: there is no such run, it can't be trained again, or an option does not take
            its value.
    """
    options = read_options(RunOptions, given, spell)
    store_paths = choose_stores(options)
    recorded = find_recorded_run(run_id, store_paths)
    values = {name: as_plain(value) for name, value in (options["set"] or {}).items()}
    base = with_configuration(recorded.experiment, recorded.configuration)
    experiment = base.with_fixed(values, options["epochs"])
    has_seed = options["seed"] is not None
    repeated = RepeatedTraining(
        origin=f"like {run_id}",
        tags={LIKE_TAG: run_id},
        seed=None if has_seed else recorded.seed,
        order_seed=None if has_seed else recorded.order_seed,
        notes=lambda session: [
            *_lost_names(recorded, experiment),
            *describe_differences(recorded, session),
        ],
    )
    request = RunRequest(
        options["seed"] or 0,
        read_execution(options, recorded.execution),
        options["trial_timeout"],
        repeated=repeated,
    )
    return experiment, request, store_paths


def describe_differences(recorded: RecordedRun, session: Session) -> Iterator[str]:
    """Yield what differs from when a run was recorded, one line each.

    If the code or the data differ, the first line is a warning: it is another training then,
    whatever the user changed.
    """
    differences = find_differences(recorded, session)
    others = [one.what for one in differences if one.what.startswith(_OTHER_TRAINING)]
    warning = f"warning: this trains something else ({', '.join(others)}): " if others else ""
    yield f"{warning}{recorded.title}: {_count(differences)} from when it was recorded"
    yield from (f"  {difference}" for difference in differences)


def _lost_names(recorded: RecordedRun, experiment: Experiment) -> Iterator[str]:
    """Yield a line for each hyperparameter that no longer exists beside what was set."""
    kept = experiment.default_configuration()
    fixed = experiment.fixed_hyperparameters()
    for name, value in recorded.configuration.items():
        if name not in kept and name not in fixed and name not in experiment.space:
            yield f"{name} = {value} is left out: it does not exist beside what was set"


def check_one_source(experiment: str | Path | None, like: str | None) -> None:
    """Check that a single training is given an experiment, or a run to be like.

    Raises:
        RequestError: both are given, or none.
    """
    if (experiment is None) == (like is None):
        received = "neither" if experiment is None else f"{str(experiment)!r} and --like {like}"
        raise RequestError(
            f"run takes an EXPERIMENT, or --like RUN_ID; received {received}: give one of the two."
        )
