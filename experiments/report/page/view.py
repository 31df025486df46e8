"""The records of one study, as the parts of the page need them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from assay.experiments.report.page.cells import list_params
from assay.experiments.report.records import (
    ClassRecord,
    EffectRecord,
    ExampleRecord,
    ExpectedBestRecord,
    FinalistRecord,
    HyperparameterRecord,
    ImportanceRecord,
    IsolationRecord,
    ReportRecords,
    StudyRecord,
    TrainingRecord,
    TrialRecord,
    Value,
)

# A study's name that may begin the names of its files. It must not look like an anchor, which other
# studies' files begin with.
_SAFE_NAME = re.compile(r"(?!study-[0-9])[a-zA-Z0-9][a-zA-Z0-9_-]{0,60}")
_INDEPENDENT_SAMPLERS = ("random", "grid", "qmc")
_RecordT = TypeVar("_RecordT")


@dataclass(frozen=True)
class StudyView:
    """A study with its records.

    Attributes:
        study: the study.
        records: all records of the report.
    """

    study: StudyRecord
    records: ReportRecords

    @cached_property
    def finalists(self) -> Sequence[FinalistRecord]:
        """In the order of validation."""
        return self._of(FinalistRecord)

    @property
    def finalist_numbers(self) -> frozenset[int]:
        """Numbers of the trials whose configurations were trained again."""
        return frozenset(one.trial for one in self.finalists)

    @cached_property
    def trials(self) -> Sequence[TrialRecord]:
        """In the order of the search."""
        return self._of(TrialRecord)

    @cached_property
    def space(self) -> Sequence[HyperparameterRecord]:
        """The searched hyperparameters."""
        return self._of(HyperparameterRecord)

    @cached_property
    def trainings(self) -> Sequence[TrainingRecord]:
        """The re-trainings of the finalists."""
        return self._of(TrainingRecord)

    @cached_property
    def classes(self) -> Sequence[ClassRecord]:
        """The classes of the leader."""
        return self._of(ClassRecord)

    @cached_property
    def examples(self) -> Sequence[ExampleRecord]:
        """The most confused test examples."""
        return self._of(ExampleRecord)

    @cached_property
    def importances(self) -> Sequence[ImportanceRecord]:
        """Importances, for all objectives."""
        return self._of(ImportanceRecord)

    @cached_property
    def effects(self) -> Sequence[EffectRecord]:
        """Effects, for all objectives."""
        return self._of(EffectRecord)

    @cached_property
    def isolations(self) -> Sequence[IsolationRecord]:
        """The best for each value of the hyperparameter in question."""
        return self._of(IsolationRecord)

    @cached_property
    def expected_best(self) -> Sequence[ExpectedBestRecord]:
        """The curve of the best value to expect."""
        return self._of(ExpectedBestRecord)

    def _of(self, kind: type[_RecordT]) -> list[_RecordT]:
        return self.records.of(kind, self.study.study)  # type: ignore[type-var]

    @cached_property
    def leader(self) -> FinalistRecord | None:
        """The leader, if it was measured on the test set."""
        found = (one for one in self.finalists if one.verdict == "leader" and one.test is not None)
        return next(found, None)

    @cached_property
    def best(self) -> TrialRecord | None:
        """The best trial of the search; None with several objectives, or without one."""
        return self.find_trial(self.study.best)

    def find_trial(self, number: int | None) -> TrialRecord | None:
        """Return a trial by its number."""
        return next((one for one in self.trials if one.trial == number), None)

    @property
    def other_objectives(self) -> list[str]:
        """The objectives but for that by which validation chooses."""
        return [one for one in self.study.objectives if one.partition(" ")[2] != self.study.metric]

    def value_of(self, number: int, objective: str) -> float | None:
        """Return the value of an objective that a trial ended with."""
        trial, place = self.find_trial(number), self.study.objectives.index(objective)
        return None if trial is None or place >= len(trial.values) else trial.values[place]

    @property
    def tried(self) -> int:
        """Number of trials that have ended."""
        counts = self.study.counts
        return counts.complete + counts.pruned + counts.failed + counts.interrupted

    @property
    def is_independent(self) -> bool:
        """Whether no trial depends on the results of earlier ones."""
        return self.study.sampler in _INDEPENDENT_SAMPLERS

    @property
    def seconds(self) -> float | None:
        """Wall time of search and finalize together; None if either is not recorded."""
        costs = self.study.costs
        was_finalized = bool(self.finalists or self.study.openings or self.study.unfinished)
        if costs.sweep is None or (was_finalized and costs.finalize is None):
            return None
        return costs.sweep + (costs.finalize or 0.0)

    @property
    def is_in_points(self) -> bool:
        """Whether differences on the test set are points of 100."""
        return self.study.test_metric == "accuracy"

    def params(self, params: Mapping[str, Value]) -> list[tuple[str, str]]:
        """Return the values of searched hyperparameters, in the order of the space."""
        return list_params(params, [one.name for one in self.space])

    @cached_property
    def anchor(self) -> str:
        """Address on the page: not its name, which may hold anything."""
        return f"study-{self.records.report.studies.index(self.study.study) + 1}"

    def file(self, figure: str) -> str:
        """Return the name of the file of a figure, without ".svg"."""
        names = self.records.report.studies
        if len(names) == 1:
            return figure
        # Files of some systems do not tell capital letters.
        lowered = [name.lower() for name in names]
        name = self.study.study
        is_safe = _SAFE_NAME.fullmatch(name) and lowered.count(name.lower()) == 1
        return f"{name if is_safe else self.anchor}-{figure}"
