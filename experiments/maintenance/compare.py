"""Differences between Optuna, the journal and MLflow.

Optuna decides on state, value and parameters, the journal on curves; MLflow is compared with both.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assay.experiments.tracking.addresses import ArtifactGuard, Relocation
from assay.experiments.tracking.lookup import has_model_files
from assay.experiments.tracking.schema import (
    BEST_TAG,
    CLOSING_STATUS,
    MODEL_FOLDER,
    PARETO_TAG,
    encode_label,
    encode_name,
    encode_param,
    run_status,
)
from assay.search.events import StudyClosed
from assay.search.history import TrialHistory
from assay.search.storage.stored_values import STATE
from assay.search.study_record import STATES

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from optuna.trial import FrozenTrial

# MLflow stores infinity as the largest double.
_MIN_INFINITE = 1.7e308


@dataclass(frozen=True)
class Difference:
    """One difference between the stores.

    Attributes:
        study: name of the study.
        trial: number of the trial; None if the whole study differs.
        message: which store has what.
        wrong_run: the run to quarantine, because MLflow cannot change what is wrong; None if no run
            is wrong, or the run can be completed.
        deleted_run: the run to restore, which a user deleted; None if there is none.
        misparented_run: the run that MLflow shows below a wrong parent, and the right parent; None
            if there is none.
        stale_tag: a run, and its tag that says what no longer holds; None if there is none.
    """

    study: str
    trial: int | None
    message: str
    wrong_run: str | None = None
    deleted_run: str | None = None
    misparented_run: tuple[str, str] | None = None
    stale_tag: tuple[str, str] | None = None

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {"study": self.study, "trial": self.trial, "what": self.message}

    def __str__(self) -> str:
        trial = "" if self.trial is None else f" trial {self.trial}"
        return f"{self.study}{trial}: {self.message}"


@dataclass(frozen=True)
class RunFacts:
    """What MLflow has of a run.

    Attributes:
        run_id: its id.
        status: MLflow's status, such as "FINISHED".
        state: Assay's state, such as "pruned"; None if it is not tagged.
        params: its parameters as text.
        metrics: last value of each metric.
        curves: values of the metrics that every epoch measures, by metric and epoch.
        parent: the run below which MLflow shows it; None if there is none.
        refused: what MLflow refused to store, one line each.
    """

    run_id: str
    status: str
    state: str | None
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    curves: Mapping[str, Mapping[int, float]]
    parent: str | None = None
    refused: str = ""

    def format_refusal(self, item: str) -> str:
        """Return why MLflow refused an item, or an empty text."""
        # What MLflow refused, no repair can store: without the reason the difference would look
        # like a fault of Assay.
        reasons = (
            line.removeprefix(f"{item}: ")
            for line in self.refused.splitlines()
            if line.startswith(f"{item}: ")
        )
        return "".join(f", which it refused: {reason}" for reason in reasons)


def compare_with_journal(
    study: str, trial: FrozenTrial, recorded: TrialHistory | None
) -> Iterator[Difference]:
    """Compare Optuna and the journal on an ended trial."""
    number, label = trial.number, _trial_label(trial)
    if recorded is None or recorded.end is None:
        state = "unknown" if recorded is None else "running"
        yield Difference(study, number, f"{label} in Optuna, {state} in the journal")
        return
    end = recorded.end
    if label != end.label:
        yield Difference(study, number, f"{label} in Optuna, {end.label} in the journal")
    if trial.values is not None and end.values and not _are_same(trial.values, end.values):
        values, in_journal = list(trial.values), list(end.values)
        yield Difference(study, number, f"value {values} in Optuna, {in_journal} in the journal")
    for name, value in trial.params.items():
        searched = recorded.begun.searched.get(name)
        if not _is_same_param(value, searched):
            message = f"{name} = {value} in Optuna, {searched} in the journal"
            yield Difference(study, number, message)


def compare_with_runs(
    study: str,
    trial: FrozenTrial,
    recorded: TrialHistory | None,
    runs: Sequence[RunFacts],
    deleted_runs: Sequence[str],
) -> Iterator[Difference]:
    """Compare MLflow with Optuna and the journal on an ended trial.

    Args:
        study: name of the study.
        trial: as Optuna has it.
        recorded: as the journal has it; None if it does not.
        runs: its runs in MLflow, the one that counts first.
        deleted_runs: its runs that a user deleted.
    """
    number, label = trial.number, _trial_label(trial)
    if not runs:
        yield missing_run(study, number, f"{label} in Optuna, ", deleted_runs)
        return
    run, *duplicates = runs
    for duplicate in duplicates:
        message = f"{len(runs)} runs in MLflow, {duplicate.run_id} beside {run.run_id}"
        yield Difference(study, number, message, wrong_run=duplicate.run_id)
    if run.state != encode_label(label):
        refusal = run.format_refusal(f"tag {STATE}")
        state = "without a state" if run.state is None else f"tagged {run.state!r}"
        yield Difference(study, number, f"{label} in Optuna{refusal}, {state} in MLflow")
    if run.status != run_status(label):
        yield Difference(study, number, f"{label} in Optuna, {run.status} in MLflow")
    yield from compare_params(study, number, recorded, run)
    yield from _compare_value(study, trial, run)
    if recorded is not None:
        yield from compare_curves(study, number, recorded, run)


def missing_run(
    study: str, trial: int | None, prefix: str, deleted_runs: Sequence[str]
) -> Difference:
    """Return the difference of a missing run.

    Args:
        study: name of the study.
        trial: number of the trial; None for the study's own run.
        prefix: beginning of the message.
        deleted_runs: its runs that a user deleted, the one to restore first.
    """
    if not deleted_runs:
        return Difference(study, trial, f"{prefix}no run in MLflow")
    # A sweep never restores a run that a user deleted; doctor does so only with --fix.
    message = f"{prefix}no run in MLflow, a user deleted it: --fix restores it"
    return Difference(study, trial, message, deleted_run=deleted_runs[0])


def compare_params(
    study: str, number: int | None, recorded: TrialHistory | None, run: RunFacts
) -> Iterator[Difference]:
    """Compare the hyperparameters in MLflow with the journal's."""
    for name, value in ({} if recorded is None else recorded.begun.params).items():
        key = encode_name(name)
        if key not in run.params:
            refusal = run.format_refusal(f"parameter {key}")
            yield Difference(study, number, f"MLflow lacks the parameter {name} = {value}{refusal}")
        elif run.params[key] != encode_param(value):
            message = f"{name} = {value} in the journal, {run.params[key]} in MLflow"
            yield Difference(study, number, message, wrong_run=run.run_id)


def _compare_value(study: str, trial: FrozenTrial, run: RunFacts) -> Iterator[Difference]:
    # With several objectives there is no metric `value`.
    if trial.values is None or len(trial.values) != 1:
        return
    (value,) = trial.values
    if "value" not in run.metrics:
        refusal = run.format_refusal("metric value")
        yield Difference(study, trial.number, f"value {value} in Optuna, none in MLflow{refusal}")
    elif not is_same(run.metrics["value"], value):
        message = f"value {value} in Optuna, {run.metrics['value']} in MLflow"
        yield Difference(study, trial.number, message, wrong_run=run.run_id)


def compare_curves(
    study: str, number: int | None, recorded: TrialHistory, run: RunFacts
) -> Iterator[Difference]:
    """Compare the metrics of each epoch in MLflow with the journal's."""
    curves: dict[str, dict[int, float]] = {}
    for epoch in recorded.epochs:
        for name, value in epoch.metrics.items():
            curves.setdefault(name, {})[epoch.epoch] = value
    for name, expected in curves.items():
        stored = run.curves.get(name, {})
        missing = sorted(expected.keys() - stored.keys())
        # Missing points can be added; a wrong one stays, so its run must be replaced.
        if missing:
            refusal = run.format_refusal(f"metric {encode_name(name)}")
            message = f"MLflow lacks {name} of {_format_epochs(missing)}{refusal}"
            yield Difference(study, number, message)
        wrong = sorted(
            epoch
            for epoch in stored
            if epoch not in expected or not is_same(stored[epoch], expected[epoch])
        )
        if wrong:
            message = f"{name} of {_format_epochs(wrong)} in MLflow is not that of the journal"
            yield Difference(study, number, message, wrong_run=run.run_id)


def _format_epochs(numbers: Sequence[int]) -> str:
    return f"epoch {numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} epochs"


def _trial_label(trial: FrozenTrial) -> str:
    """Return a trial's state in Optuna, as MLflow has it."""
    label = str(trial.user_attrs.get(STATE, ""))
    state = next(
        (name for name, state in STATES.items() if state == trial.state), trial.state.name.lower()
    )
    # The reason is in an attribute of ours. It may be missing, or not fit the state, if another
    # program has changed the trial.
    if label.partition(":")[0] == state:
        return label
    return "failed: unknown" if state == "failed" else state


def is_same(value: float, other: float) -> bool:
    """Return whether two stores have the same number; NaN is the same as NaN."""
    if math.isnan(value) or math.isnan(other):
        return math.isnan(value) and math.isnan(other)
    if abs(value) > _MIN_INFINITE or abs(other) > _MIN_INFINITE:
        both = abs(value) > _MIN_INFINITE and abs(other) > _MIN_INFINITE
        return both and (value > 0) == (other > 0)
    # A database may round the last digit.
    return math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-300)


def _are_same(values: Sequence[float], others: Sequence[float]) -> bool:
    return len(values) == len(others) and all(map(is_same, values, others))


def _is_same_param(stored: Any, searched: Any) -> bool:
    """Compare Optuna's value of a hyperparameter with the journal's."""
    # Optuna's choices cannot be lists: it has their JSON.
    if isinstance(searched, list):
        return bool(stored == json.dumps(searched))
    if isinstance(stored, float) and isinstance(searched, int | float):
        with contextlib.suppress(OverflowError):  # an integer beyond all floats
            return math.isclose(stored, searched, rel_tol=1e-9)
    return bool(stored == searched)


@dataclass(frozen=True)
class ParentFacts:
    """What MLflow has of a study's own run.

    Attributes:
        run_id: its id.
        status: MLflow's status, such as "FINISHED".
        best: number of the best trial, or numbers of the Pareto front, as text; empty if not
            tagged.
        has_model: whether it has a model.
    """

    run_id: str
    status: str
    best: str
    has_model: bool


def read_parent_facts(
    client: MlflowClient, guard: ArtifactGuard, relocation: Relocation | None, run: Run
) -> ParentFacts:
    """Return what MLflow has of a study's own run.

    Args:
        client: of the store.
        guard: which addresses of artifacts may be read.
        relocation: of home; doctor reports it by itself.
        run: the study's own run.
    """
    tags = run.data.tags
    found = None
    if relocation is not None:
        found = relocation.locate(str(run.info.artifact_uri), guard.artifacts)
    has_model = (
        has_model_files(client, guard, run) if found is None else (found / MODEL_FOLDER).is_dir()
    )
    return ParentFacts(
        run_id=str(run.info.run_id),
        status=str(run.info.status),
        best=tags.get(BEST_TAG) or tags.get(PARETO_TAG) or "",
        has_model=has_model,
    )


def compare_parent_run(
    study: str, closed: StudyClosed, parent: ParentFacts
) -> Iterator[Difference]:
    """Compare MLflow with the journal on a closed study."""
    if parent.status != CLOSING_STATUS[closed.closing]:
        message = f"closed as {closed.closing} in the journal, {parent.status} in MLflow"
        yield Difference(study, None, message)
    numbers = ", ".join(str(best.trial) for best in closed.best)
    if parent.best != numbers:
        in_journal, in_mlflow = numbers or "none", parent.best or "none"
        message = f"best trial {in_journal} in the journal, {in_mlflow} in MLflow"
        yield Difference(study, None, message)
    # On a Pareto front each trial's own run has its model.
    is_single = len(closed.best) == 1 and len(closed.best[0].values) == 1
    if is_single and closed.best[0].model is not None and not parent.has_model:
        message = f"MLflow lacks the model of the best trial, {numbers}"
        yield Difference(study, None, message)
