"""One trial as Optuna, the journal and MLflow have it.

Optuna has the last word on state, value and parameters, the journal on curves; MLflow is what both
are held against.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assay.experiments.results.history import TrialHistory
from assay.experiments.tracking.model import FOLDER
from assay.experiments.tracking.schema import (
    BEST_TAG,
    CLOSING_STATUS,
    PARETO_TAG,
    label_text,
    name_text,
    param_text,
    status_of,
)
from assay.search.events import StudyClosed
from assay.search.study_record import STATE, STATES

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from optuna.trial import FrozenTrial


# What differs between the places that a study lies in.


@dataclass(frozen=True)
class Difference:
    """One thing that does not agree.

    Attributes:
        study: its name.
        trial: its number; None if it is of the whole study.
        what: which place says what.
        run_id: the run that can't be put right, but only be made anew; None if no run is wrong.
        deleted: the run that somebody deleted, to be restored; None if none was.
        astray: a run, and that of the study, below which it belongs; None if it is there.
    """

    study: str
    trial: int | None
    what: str
    run_id: str | None = None
    deleted: str | None = None
    astray: tuple[str, str] | None = None

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {"study": self.study, "trial": self.trial, "what": self.what}

    def __str__(self) -> str:
        whose = "" if self.trial is None else f" trial {self.trial}"
        return f"{self.study}{whose}: {self.what}"


_LARGEST = 1.7e308  # MLflow has no infinity


@dataclass(frozen=True)
class RunFacts:
    """What MLflow has of a trial's run: `curve` by metric and epoch, of all others the last value.

    `parent` is the run that it is shown below, `refused` what MLflow did not take, a line each.
    """

    run_id: str
    status: str
    state: str | None
    params: Mapping[str, str]
    ends: Mapping[str, float]
    curve: Mapping[str, Mapping[int, float]]
    parent: str | None = None
    refused: str = ""

    def why_not(self, what: str) -> str:
        """Return in words why MLflow does not have something, if it refused it: nothing can mend
        that.
        """
        reasons = (
            line.removeprefix(f"{what}: ")
            for line in self.refused.splitlines()
            if line.startswith(f"{what}: ")
        )
        return "".join(f", which it refused: {reason}" for reason in reasons)


def journal_differences(
    study: str, trial: FrozenTrial, known: TrialHistory | None
) -> Iterator[Difference]:
    """Yield what Optuna and the journal say of a trial that is over and differs."""
    number = trial.number
    if known is None or known.end is None:
        yield Difference(
            study,
            number,
            f"{_label(trial)} in Optuna, in the journal {'begun' if known else 'unknown'}",
        )
        return
    label, end = _label(trial), known.end
    if label != end.label:
        yield Difference(study, number, f"{label} in Optuna, {end.label} in the journal")
    if trial.values is not None and end.values and not _same_all(trial.values, end.values):
        yield Difference(
            study,
            number,
            f"value {list(trial.values)} in Optuna, {list(end.values)} in the journal",
        )
    for name, value in trial.params.items():
        if not _same_param(value, known.begun.searched.get(name)):
            told = known.begun.searched.get(name)
            yield Difference(study, number, f"{name} = {value} in Optuna, {told} in the journal")


def run_differences(
    study: str,
    trial: FrozenTrial,
    known: TrialHistory | None,
    runs: Sequence[RunFacts],
    deleted: Sequence[str],
) -> Iterator[Difference]:
    """Yield what of a trial that is over MLflow has otherwise, or not at all, or more than once."""
    number = trial.number
    if not runs:
        yield no_run(study, number, f"{_label(trial)} in Optuna, ", deleted)
        return
    first, *others = runs
    for other in others:
        yield Difference(
            study,
            number,
            f"{len(runs)} runs in MLflow, {other.run_id} beside {first.run_id}",
            other.run_id,
        )
    label = _label(trial)
    if first.state != label_text(label):
        why = first.why_not(f"tag {STATE}")
        tagged = "without an end" if first.state is None else f"tagged {first.state!r}"
        yield Difference(study, number, f"{label} in Optuna{why}, {tagged} in MLflow")
    if first.status != status_of(label):
        yield Difference(study, number, f"{label} in Optuna, {first.status} in MLflow")
    for name, value in ({} if known is None else known.begun.params).items():
        key = name_text(name)
        if key not in first.params:
            why = first.why_not(f"parameter {key}")
            yield Difference(study, number, f"MLflow lacks the parameter {name} = {value}{why}")
        elif first.params[key] != param_text(value):
            told = f"{name} = {value} in the journal, {first.params[key]} in MLflow"
            yield Difference(study, number, told, first.run_id)
    yield from _value_differences(study, trial, first)
    if known is not None:
        yield from _curve_differences(study, known, first)


def no_run(study: str, trial: int | None, before: str, deleted: Sequence[str]) -> Difference:
    """Return that MLflow has no run, or only one that somebody deleted.

    No sweep restores that one: it may be what they want. But doctor looks for one run a trial.
    """
    if not deleted:
        return Difference(study, trial, f"{before}no run in MLflow")
    what = f"{before}no run in MLflow, somebody deleted it: --fix restores it"
    return Difference(study, trial, what, deleted=deleted[0])


def _value_differences(study: str, trial: FrozenTrial, run: RunFacts) -> Iterator[Difference]:
    if trial.values is None or len(trial.values) != 1:
        return
    (value,) = trial.values
    if "value" not in run.ends:
        why = run.why_not("metric value")
        yield Difference(study, trial.number, f"value {value} in Optuna, none in MLflow{why}")
    elif not _same(run.ends["value"], value):
        told = f"value {value} in Optuna, {run.ends['value']} in MLflow"
        yield Difference(study, trial.number, told, run.run_id)


def _curve_differences(study: str, known: TrialHistory, run: RunFacts) -> Iterator[Difference]:
    number = known.begun.trial
    expected: dict[str, dict[int, float]] = {}
    for epoch in known.epochs:
        for name, value in epoch.metrics.items():
            expected.setdefault(name, {})[epoch.epoch] = value
    for name, points in expected.items():
        has = run.curve.get(name, {})
        missing = sorted(points.keys() - has.keys())
        if missing:
            why = run.why_not(f"metric {name_text(name)}")
            yield Difference(study, number, f"MLflow lacks {name} of {_epochs(missing)}{why}")
        wrong = sorted(
            {epoch for epoch in has if epoch not in points or not _same(has[epoch], points[epoch])}
        )
        if wrong:
            yield Difference(
                study,
                number,
                f"{name} of {_epochs(wrong)} is not the journal's in MLflow",
                run.run_id,
            )


def _epochs(numbers: Sequence[int]) -> str:
    return f"epoch {numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} epochs"


def _label(trial: FrozenTrial) -> str:
    """Return a state as MLflow has it: the reason of a failure is Assay's own word."""
    told = str(trial.user_attrs.get(STATE, ""))
    name = next(
        (name for name, state in STATES.items() if state == trial.state), trial.state.name.lower()
    )
    if told.partition(":")[0] == name:
        return told
    return "failed: unknown" if name == "failed" else name  # somebody else has failed it


def _same(one: float, other: float) -> bool:
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    if abs(one) > _LARGEST or abs(other) > _LARGEST:
        return abs(one) > _LARGEST and abs(other) > _LARGEST and (one > 0) == (other > 0)
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-300)


def _same_all(ones: Sequence[float], others: Sequence[float]) -> bool:
    return len(ones) == len(others) and all(map(_same, ones, others))


def _same_param(stored: Any, searched: Any) -> bool:
    """Return whether Optuna's value is what was searched: of choices that are lists it has the
    text.
    """
    if isinstance(searched, list):
        return bool(stored == json.dumps(searched))
    if isinstance(stored, float) and isinstance(searched, int | float):
        return math.isclose(stored, searched, rel_tol=1e-9)
    return bool(stored == searched)


# A study's own run, as its last closing and MLflow have it.


@dataclass(frozen=True)
class ParentFacts:
    """What MLflow has of a study's own run; `best` is a trial's number, or those of a front."""

    run_id: str
    status: str
    best: str
    has_model: bool


def parent_facts(client: MlflowClient, run: Run) -> ParentFacts:
    """Return what a run has, asking the store for its artifacts."""
    tags = run.data.tags
    return ParentFacts(
        run_id=str(run.info.run_id),
        status=str(run.info.status),
        best=tags.get(BEST_TAG) or tags.get(PARETO_TAG) or "",
        has_model=bool(client.list_artifacts(run.info.run_id, FOLDER)),
    )


def parent_differences(
    study: str, closed: StudyClosed, parent: ParentFacts
) -> Iterator[Difference]:
    """Yield what of a study that was closed its run has otherwise."""
    if parent.status != CLOSING_STATUS[closed.closing]:
        yield Difference(
            study, None, f"closed as {closed.closing} in the journal, {parent.status} in MLflow"
        )
    best = ", ".join(str(one.trial) for one in closed.best)
    if parent.best != best:
        told = f"best trial {best or 'none'} in the journal, {parent.best or 'none'} in MLflow"
        yield Difference(study, None, told)
    alone = len(closed.best) == 1 and len(closed.best[0].values) == 1
    if alone and closed.best[0].model is not None and not parent.has_model:
        yield Difference(study, None, f"MLflow lacks the model of trial {best}, the best")
