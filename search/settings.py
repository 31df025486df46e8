"""The [search] table of an experiment."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from models.names import check_name
from models.settings import Settings
from search.objective import Objectives
from search.pruners import PRUNERS
from search.samplers import SAMPLERS


def _sampler(name: str) -> str:
    return check_name("sampler", name, SAMPLERS)


def _pruner(name: str) -> str:
    return check_name("pruner", name, PRUNERS)


def _objectives(texts: list[str]) -> list[str]:
    return [str(objective) for objective in Objectives.read(texts).each]


class SearchSettings(Settings):
    """How the space is searched."""

    trials: int = Field(default=30, ge=1, description="How many complete or pruned trials make the study done.")
    sampler: Annotated[str, AfterValidator(_sampler)] = Field(
        default="tpe", description="Which configurations are tried next."
    )
    pruner: Annotated[str, AfterValidator(_pruner)] = Field(
        default="none", description="Which trials are stopped before their last epoch."
    )
    objectives: Annotated[list[str], AfterValidator(_objectives)] = Field(
        default=["maximize val_accuracy"],
        description="What is made better, measured at the last epoch of a trial, or as it ends: one, or several.",
    )

    @property
    def goals(self) -> Objectives:
        """What the search makes better."""
        return Objectives.read(self.objectives)
