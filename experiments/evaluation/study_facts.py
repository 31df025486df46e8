"""Facts of a study that its evaluation rests on, read from Optuna and the journals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.search.events import EpochEnded
from assay.search.history import read_history, read_sessions
from assay.search.objective import Objective, Objectives

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_IMAGE_DIMENSIONS = 3


@dataclass(frozen=True)
class ValidationFacts:
    """What is known of the data that rank the trials.

    Attributes:
        examples: number of validation examples; None if it is not recorded.
        train_examples: number of training examples; None if it is not recorded.
        majority_share: share of the largest class among the validation labels; None for regression,
            or if it is not recorded.
        constant_errors: in regression, validation error of predicting a constant, by metric: "mae"
            of the median of the training targets, "mse" of their mean. Empty if not recorded.
        noun: what an example is called: "images" or "examples".
    """

    examples: int | None = None
    train_examples: int | None = None
    majority_share: float | None = None
    constant_errors: Mapping[str, float] = field(default_factory=dict)
    noun: str = "examples"


@dataclass(frozen=True)
class Range:
    """The range of a searched number.

    Attributes:
        low: its lower end.
        high: its upper end.
        is_log: whether it is searched on a logarithmic scale.
    """

    low: float
    high: float
    is_log: bool = False

    def position(self, value: float) -> float:
        """Return where a value lies on the range's own scale: 0 at its lower end, 1 at its upper.

        Example:
            >>> Range(1e-4, 1e-1, is_log=True).position(1e-2)
            0.666...
        """
        low, high, at = float(self.low), float(self.high), float(value)
        if self.is_log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low)


@dataclass(frozen=True)
class TrialFacts:
    """One trial.

    Attributes:
        number: its number.
        state: "complete", "pruned" or "failed: REASON".
        value: value of the first objective; None unless the trial is complete.
        params: searched hyperparameters by name, as Optuna has them.
        is_baseline: whether its configuration is a baseline of the experiment.
    """

    number: int
    state: str
    value: float | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    is_baseline: bool = False


@dataclass(frozen=True)
class Training:
    """The training of one trial, as the journal has it.

    Attributes:
        curves: values of each metric by epoch.
        restored_epoch: the epoch whose weights early stopping kept, from 1; None without.
        params: every hyperparameter by name, searched or fixed.
    """

    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    restored_epoch: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """Number of epochs that were trained."""
        return max((len(values) for values in self.curves.values()), default=0)

    @property
    def epoch(self) -> int | None:
        """The epoch that the trial's value is of; None if no epoch is recorded."""
        return self.restored_epoch or self.epochs or None

    def metric_of_value(self, metric: str) -> float | None:
        """Return a metric at the epoch that the trial's value is of; None if it is not recorded."""
        values = self.curves.get(metric, ())
        epoch = self.epoch
        return values[epoch - 1] if epoch is not None and epoch <= len(values) else None


@dataclass(frozen=True)
class StudyFacts:
    """What a study has found, as far as its evaluation needs it.

    Attributes:
        objectives: what was optimized. The evaluation is about the first of them.
        trials: the trials that have ended, by number.
        ranges: ranges of the searched numbers by name.
        validation: the data that rank the trials.
        training: the training of the best trial; None if no journal of this home has it.
    """

    objectives: Objectives
    trials: Sequence[TrialFacts]
    ranges: Mapping[str, Range] = field(default_factory=dict)
    validation: ValidationFacts = field(default_factory=ValidationFacts)
    training: Training | None = None

    @property
    def objective(self) -> Objective:
        """The objective that the evaluation is about."""
        return self.objectives.each[0]

    @property
    def complete(self) -> list[TrialFacts]:
        """The complete trials by number."""
        return [trial for trial in self.trials if trial.value is not None]

    @property
    def pruned(self) -> int:
        """Number of pruned trials."""
        return sum(trial.state == "pruned" for trial in self.trials)

    @property
    def values(self) -> list[float]:
        """The values of the complete trials by number."""
        return [trial.value for trial in self.trials if trial.value is not None]

    @property
    def tried(self) -> int:
        """Number of networks among which the best was chosen: of complete and pruned trials."""
        # A pruned network was measured on the same examples, and dropped for its share of them.
        return len(self.complete) + self.pruned

    @property
    def best(self) -> TrialFacts | None:
        """The best complete trial by the first objective; of equals, the first."""
        return _find_best(self.complete, self.objective)

    @property
    def best_baseline(self) -> TrialFacts | None:
        """The best complete baseline; of equals, the first."""
        baselines = [trial for trial in self.complete if trial.is_baseline]
        return _find_best(baselines, self.objective)


def _find_best(trials: Iterable[TrialFacts], objective: Objective) -> TrialFacts | None:
    best: TrialFacts | None = None
    for trial in trials:
        assert trial.value is not None
        if best is None or best.value is None or objective.is_better(trial.value, than=best.value):
            best = trial
    return best


def read_study_facts(
    study: optuna.Study, objectives: Objectives, journals: Iterable[Path]
) -> StudyFacts:
    """Read the facts of a study.

    Args:
        study: the study in Optuna.
        objectives: its objectives.
        journals: its journals in this home, which need not exist.
    """
    from assay.search.storage.stored_values import FINGERPRINT, STUDY_ID  # they import Optuna

    frozen = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    files, study_id = list(journals), study.user_attrs.get(STUDY_ID)
    facts = StudyFacts(
        objectives=objectives,
        trials=[_read_trial(trial) for trial in frozen],
        ranges=_read_ranges(frozen),
    )
    best = facts.best
    return StudyFacts(
        objectives=facts.objectives,
        trials=facts.trials,
        ranges=facts.ranges,
        validation=_read_validation(files, study_id, study.user_attrs.get(FINGERPRINT, {})),
        training=None if best is None else read_training(files, study_id, best.number),
    )


def _read_trial(trial: FrozenTrial) -> TrialFacts:
    from assay.search.storage.stored_values import BASELINE, STATE  # they import Optuna

    is_complete = trial.state.name == "COMPLETE"
    state = {"COMPLETE": "complete", "PRUNED": "pruned"}.get(trial.state.name, "failed")
    return TrialFacts(
        number=trial.number,
        state=trial.user_attrs.get(STATE, state) if state == "failed" else state,
        value=trial.values[0] if is_complete and trial.values else None,
        params=trial.params,
        is_baseline=bool(trial.user_attrs.get(BASELINE, False)),
    )


def _read_ranges(trials: Sequence[FrozenTrial]) -> dict[str, Range]:
    ranges = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            if (found := _read_range(distribution)) is not None:
                ranges[name] = found
    return ranges


def _read_range(distribution: BaseDistribution) -> Range | None:
    """Return the range of a distribution; None for choices, or if it has one value."""
    low, high = getattr(distribution, "low", None), getattr(distribution, "high", None)
    if low is None or high is None or not low < high:
        return None
    return Range(low, high, bool(getattr(distribution, "log", False)))


def _read_validation(
    journals: Sequence[Path], study_id: str | None, fingerprint: Mapping[str, Any]
) -> ValidationFacts:
    """Return what is known of the data, from the journal or else the study fingerprint.

    The split is part of the fingerprint: it is the same for all trials of a study.
    """
    data: Mapping[str, Any] = {}
    for session in read_sessions(journals, study_id):
        # An earlier release recorded less; what any session recorded holds for the study.
        data = {**data, **session.data}
    split = fingerprint.get("split")
    split = split if isinstance(split, dict) else {}
    shape = data.get("input_shape")
    is_image = isinstance(shape, list) and len(shape) == _IMAGE_DIMENSIONS
    errors = data.get("constant_errors")
    return ValidationFacts(
        examples=_read_count(data.get("validation_examples", split.get("validation"))),
        train_examples=_read_count(data.get("train_examples", split.get("train"))),
        majority_share=_read_number(data.get("majority_share")),
        constant_errors={
            name: number
            for name, value in (errors.items() if isinstance(errors, dict) else ())
            if (number := _read_number(value)) is not None
        },
        noun="images" if is_image else "examples",
    )


def _read_count(value: object) -> int | None:
    # A journal or a storage that was changed by hand may hold anything.
    return value if type(value) is int and value > 0 else None


def _read_number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None  # type: ignore[arg-type]


def read_training(journals: Iterable[Path], study_id: str | None, number: int) -> Training | None:
    """Return the training of one trial of a study; None if no journal has it.

    Args:
        journals: the study's journals, which need not exist.
        study_id: of the study.
        number: number of the trial.
    """
    recorded = read_history(journals, study_id, trial=number).trials.get(number)
    if recorded is None:
        return None
    metrics = {} if recorded.end is None else recorded.end.metrics
    return Training(
        curves=_collect_curves(recorded.epochs),
        restored_epoch=_read_count(metrics.get("restored_epoch")),
        params=recorded.begun.params,
    )


def _collect_curves(epochs: Sequence[EpochEnded]) -> dict[str, list[float]]:
    """Return the curves of the metrics that every epoch has."""
    names = [
        name
        for name in (epochs[0].metrics if epochs else ())
        if all(name in epoch.metrics for epoch in epochs)
    ]
    return {name: [float(epoch.metrics[name]) for epoch in epochs] for name in names}
