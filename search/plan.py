"""Plan of a search: what a supervisor works through, and the study it is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from assay.models.settings import Settings
from assay.search.artifacts import Checkpoints, ModelStore
from assay.search.failure_policy import FailurePolicy
from assay.search.importances import DEFAULT_EVALUATOR
from assay.search.objective import Objectives
from assay.search.space import Space
from assay.search.workers.protocol import Trial


@dataclass(frozen=True)
class TrialSetup:
    """What a trial is trained with; computed once, before it begins.

    Attributes:
        spec: plain values, for a worker's `begin`.
        hyperparameters: every hyperparameter by name, searched or fixed.
        epochs: number of epochs, unless the trial is pruned.
    """

    spec: Mapping[str, Any]
    hyperparameters: Mapping[str, Any]
    epochs: int


@dataclass(frozen=True)
class SearchPlan:
    """What a supervisor works through.

    Args:
        trials: number of complete and pruned trials that the study shall have in the end.
        objectives: the objectives of the study.
        setup: returns what a trial is trained with.
        model_store: where the models of the best trials are saved.
        timeout_seconds: time after the first trial's start after which no trial starts; None for
            no limit.
        failure_policy: what follows a failure.
        checkpoints: where unfinished trials are saved after each epoch; None if they are not.
    """

    trials: int
    objectives: Objectives
    setup: Callable[[Trial], TrialSetup]
    model_store: ModelStore
    timeout_seconds: float | None = None
    failure_policy: FailurePolicy = field(default_factory=FailurePolicy)
    checkpoints: Checkpoints | None = None


@dataclass(frozen=True)
class StudyRequest:
    """The study that is asked for.

    Args:
        name: name of the study.
        space: the search space.
        objectives: the objectives.
        fingerprint: what all trials of the study have in common.
        sampler: name of the sampler.
        pruner: name of the pruner.
        epochs: the most epochs that a trial can have.
        seed: random seed of the study; None for that of an existing study, or 0.
        sampler_options: the sampler's options; None for its defaults.
        pruner_options: the pruner's options; None for its defaults.
        importance: name of the evaluator of hyperparameter importances.
    """

    name: str
    space: Space
    objectives: Objectives
    fingerprint: Mapping[str, Any]
    sampler: str
    pruner: str
    epochs: int
    seed: int | None
    sampler_options: Settings | None = None
    pruner_options: Settings | None = None
    importance: str = DEFAULT_EVALUATOR
