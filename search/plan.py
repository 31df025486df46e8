"""What a supervisor is to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from assay.models.settings import Settings
from assay.search.artifacts import Checkpoints, ModelStore
from assay.search.events import TrialEnded
from assay.search.objective import Objectives
from assay.search.space import Space
from assay.search.workers.protocol import Trial


@dataclass(frozen=True)
class FailurePolicy:
    """What is put up with before a trial, or the search, is given up.

    Args:
        max_failures: after so many failed trials in a row the search stops.
        retries: how many more attempts a configuration gets whose worker died.
        trial_timeout_seconds: a worker that does not answer a call within this time is ended, and
            its trial fails; None for no limit. A call begins a trial, trains one epoch of it, or
            finishes it.
    """

    max_failures: int = 5
    retries: int = 1
    trial_timeout_seconds: float | None = None


FAIL_FAST = FailurePolicy(max_failures=1, retries=0)


@dataclass(frozen=True)
class Plan:
    """What a supervisor is to do.

    Args:
        trials: how many complete or pruned trials the study shall have in the end.
        epochs: how many epochs a trial trains unless it is pruned.
        objectives: what is made better.
        trial_spec: makes of a trial the plain configuration that a worker's `begin` takes.
        hyperparameters: makes of a trial every hyperparameter, searched or fixed, by name.
        model_store: keeps the model of the best trial.
        timeout_seconds: no trial starts later than this after the first; None for no limit.
        failure_policy: of what fails.
        checkpoints: where trials are kept that others go on with; None if none are.
    """

    trials: int
    epochs: Callable[[Trial], int]
    objectives: Objectives
    trial_spec: Callable[[Trial], Mapping[str, Any]]
    hyperparameters: Callable[[Trial], Mapping[str, Any]]
    model_store: ModelStore
    timeout_seconds: float | None = None
    failure_policy: FailurePolicy = field(default_factory=FailurePolicy)
    checkpoints: Checkpoints | None = None

    def may_go_on(self, trial: Trial, end: TrialEnded) -> bool:
        """Return whether a trial that ended so will be tried again."""
        return end.is_interrupted or (
            end.is_crashed and trial.attempt <= self.failure_policy.retries
        )


# What is asked of a study.


@dataclass(frozen=True)
class StudyRequest:
    """The study that is asked for.

    Args:
        name: the study's name.
        space: what is searched.
        objectives: what is made better.
        fingerprint: what all trials of the study must share.
        sampler: the sampler's name.
        pruner: the pruner's name.
        epochs: the most epochs a trial can have.
        seed: where every trial's seed follows from; None is the study's own, or 0 if it is new.
        sampler_options: the sampler's own options; None is its defaults.
        pruner_options: the pruner's own options; None is its defaults.
        importance: how what each hyperparameter mattered is told.
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
    importance: str = "ped-anova"
