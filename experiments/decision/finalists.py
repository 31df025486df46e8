"""Finalists: the configurations that finalize trains again, and their trainings."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from assay.experiments.results.finalizes import (
    FinalizeRecord,
    PlannedTraining,
    Training,
    configuration_key,
    planned_trainings,
)
from assay.models.errors import RequestError
from assay.search.events import FinalistConfiguration, FinalizePlan, TrialEnded
from assay.search.failure_policy import FailurePolicy
from assay.search.objective import COSTS, Objective, Objectives, Values
from assay.search.workers.protocol import Trial

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from assay.search.study_record import StudyRecord


def count_unbegun_baselines(record: StudyRecord) -> int:
    """Return the number of a study's baselines that have no hyperparameters yet."""
    from assay.search.storage.stored_values import BASELINE  # here, because it imports Optuna

    trials = record.study.get_trials(deepcopy=False)
    return sum(bool(trial.user_attrs.get(BASELINE)) and not trial.params for trial in trials)


def judged_objective(objectives: Objectives) -> Objective:
    """Return the objective by which validation chooses the leader: the first that is no cost.

    Raises:
        RequestError: all of them are costs.
    """
    for objective in objectives.each:
        if objective.metric not in COSTS:
            return objective
    raise RequestError(
        "finalize needs an objective that is measured on the validation set, such as val_accuracy: "
        f"received {objectives}; search with one under [search] objectives."
    )


def choose_finalists(record: StudyRecord, top: int) -> tuple[FinalistConfiguration, ...]:
    """Return the best distinct configurations of a study, and its baselines.

    Args:
        record: the study.
        top: number of best configurations; with several objectives they are those of the Pareto
            front that are best in the first one.

    Raises:
        RequestError: no trial is complete.
    """
    from assay.search.storage.stored_values import BASELINE
    from assay.search.study_record import objectives_of  # here, because they import Optuna

    objectives = objectives_of(record.study)
    trials = record.study.get_trials(deepcopy=False)
    ranked = _rank(trials, objectives)
    if not ranked:
        raise RequestError(
            f"study {record.study.study_name!r} must have a complete trial to finalize: it has "
            "none; sweep on."
        )
    index = objectives.each.index(judged_objective(objectives))
    # One that no sampler was asked for has no hyperparameters yet.
    baselines = [trial for trial in trials if trial.user_attrs.get(BASELINE) and trial.params]
    # A complete trial of a baseline before one that failed.
    baselines.sort(key=lambda trial: (trial.state.name != "COMPLETE", trial.number))
    baseline_keys = {configuration_key(record.decode_params(trial)) for trial in baselines}
    chosen: dict[str, FinalistConfiguration] = {}
    for trial in (*ranked, *baselines):
        searched = record.decode_params(trial)
        key = configuration_key(searched)
        is_baseline = key in baseline_keys
        if key in chosen or (len(chosen) >= top and not is_baseline):
            continue
        value = trial.values[index] if trial.state.name == "COMPLETE" else None
        chosen[key] = FinalistConfiguration(trial.number, searched, is_baseline, value)
    return tuple(chosen.values())


def _rank(trials: list[FrozenTrial], objectives: Objectives) -> list[FrozenTrial]:
    """Return the complete trials, or those of the Pareto front, the best first."""
    from assay.search.study_record import best_trials_of  # here for the same reason

    by_number = {trial.number: trial for trial in trials}
    if objectives.single is None:
        return [by_number[number] for number in best_trials_of(trials, objectives)]
    sign = -1 if objectives.single.direction == "maximize" else 1
    complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
    return sorted(complete, key=lambda trial: (sign * trial.values[0], trial.number))


def plan_options(plan: FinalizePlan) -> tuple[str, ...]:
    """Return the options of `assay finalize` that ask for a plan.

    Example:
        >>> plan_options(plan)
        ('--top', '3', '--seeds', '5')
    """
    flags = (
        *(("--splits",) if plan.splits else ()),
        *(() if plan.register else ("--no-register",)),
    )
    return ("--top", str(plan.top), "--seeds", str(plan.seeds), *flags)


class Trainings:
    """The trainings of a finalize: the supervisor's `TrialSource`.

    A training is done when it is complete or has failed. One that was interrupted is done again,
    and so is one whose network could not be measured; one whose worker died is retried.

    Args:
        plan: what is trained.
        record: what earlier sessions of this finalize have done.
        first_number: number of the next training.
        failure_policy: how often a training whose worker died is retried.
    """

    def __init__(
        self,
        plan: FinalizePlan,
        record: FinalizeRecord | None,
        first_number: int,
        failure_policy: FailurePolicy,
    ) -> None:
        planned = planned_trainings(plan)
        ended = {} if record is None else replace(record, plan=plan).ended_by_seed()
        self._done: set[int] = set()
        self._waiting: deque[tuple[PlannedTraining, int, int | None]] = deque()
        for training in planned:
            last = ended.get(training.seed)
            if last is None or last.is_unmeasured:
                self._waiting.append((training, 1, None))
            elif _is_to_be_retried(last, failure_policy):
                # The retry is not in the journal: the process died before it began.
                self._waiting.append((training, last.begun.attempt + 1, last.begun.trial))
            else:
                self._done.add(training.seed)
        self._running: dict[int, PlannedTraining] = {}
        self._next_number = first_number
        self.total = len(planned)

    def ask(self) -> Trial | None:
        """Return the next training."""
        if not self._waiting:
            return None
        training, attempt, retry_of = self._waiting.popleft()
        number, self._next_number = self._next_number, self._next_number + 1
        self._running[number] = training
        return Trial(
            number=number,
            searched=training.searched,
            seed=training.seed,
            origin=f"finalist {training.finalist}",
            attempt=attempt,
            retry_of=retry_of,
            finalist=training.finalist,
        )

    def count_done(self) -> int:
        """Return the number of trainings that are complete or have failed."""
        return len(self._done)

    def has_next(self) -> bool:
        """Return whether a training is waiting."""
        return bool(self._waiting)

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Never prune."""
        return False

    def tell(self, end: TrialEnded) -> None:
        """Count a training that has ended."""
        training = self._running.pop(end.trial)
        if end.reason != "interrupted":
            self._done.add(training.seed)

    def enqueue_retry(self, trial: Trial) -> None:
        """Train again with the same seed, because the worker died."""
        assert trial.finalist is not None
        training = PlannedTraining(trial.finalist, trial.searched, trial.seed)
        self._done.discard(trial.seed)
        self._waiting.append((training, trial.attempt + 1, trial.number))

    def admits(self, number: int, values: Values) -> bool:
        """Return False: the checkpoint has the network."""
        return False

    def best_trials(self) -> Mapping[int, Values]:
        """Return none: the leader is chosen from the means over seeds."""
        return {}


def _is_to_be_retried(training: Training, failure_policy: FailurePolicy) -> bool:
    assert training.end is not None
    follow_up = failure_policy.choose_follow_up(training.end.label, training.begun.attempt)
    return follow_up is not None
