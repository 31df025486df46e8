"""Artificial facts of studies, for tests of their evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assay.experiments.evaluation.study_facts import (
    Range,
    StudyFacts,
    Training,
    TrialFacts,
    ValidationFacts,
)
from assay.search.objective import Objectives

IMAGES = ValidationFacts(200, 1000, 0.1, {}, "images")
RATE = Range(1e-4, 1e-1, is_log=True)


def facts(
    values: Sequence[float | None],
    objectives: Sequence[str] = ("maximize val_accuracy",),
    baseline: int | None = None,
    params: Sequence[Mapping[str, Any]] = (),
    states: Mapping[int, str] | None = None,
    **others: Any,
) -> StudyFacts:
    """Return the facts of a study of 200 validation images in 10 classes.

    Args:
        values: value of each trial; None for one that is pruned, unless `states` says otherwise.
        objectives: what is optimized.
        baseline: number of the baseline's trial.
        params: searched hyperparameters of each trial.
        states: states of trials by number.
        others: replace other fields.
    """
    trials = [
        TrialFacts(
            number=number,
            state=(states or {}).get(number, "pruned" if value is None else "complete"),
            value=value,
            params=params[number] if params else {},
            is_baseline=number == baseline,
        )
        for number, value in enumerate(values)
    ]
    fields: dict[str, Any] = {"validation": IMAGES, "training": None, **others}
    return StudyFacts(objectives=Objectives.read(objectives), trials=trials, **fields)


def training(**curves: Sequence[float]) -> Training:
    """Return a training with these curves."""
    return Training(curves=curves)
