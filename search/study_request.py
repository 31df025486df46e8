"""What is asked of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.settings import Settings
from search.objective import Objectives
from search.space import Space


@dataclass(frozen=True)
class StudyRequest:
    """The study that is asked for.

    Args:
        name: the study's name.
        space: what is searched.
        objectives: what is made better.
        identity: what all trials of the study must share.
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
    identity: Mapping[str, Any]
    sampler: str
    pruner: str
    epochs: int
    seed: int | None
    sampler_options: Settings | None = None
    pruner_options: Settings | None = None
    importance: str = "ped-anova"
