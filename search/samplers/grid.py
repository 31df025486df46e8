"""Every configuration of a space once, in an order that the seed shuffles."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from assay.models.errors import RequestError
from assay.models.settings import Settings
from assay.search.samplers.base import Sampler, SamplerRequest

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from assay.search.space import Space

LARGEST = 100_000
"""Configurations of a grid: nobody trains more, and listing them must take no time."""


class GridSettings(Settings):
    """A grid has no options."""


def size(space: Space) -> int:
    """Return how many configurations there are.

    Raises:
        RequestError: they are not to be counted, or too many.
    """
    from assay.search.space.grid import (
        grid,
    )  # not at the top: naming samplers must not import Optuna's distributions

    counted = sum(1 for _ in itertools.islice(grid(space), LARGEST + 1))
    if counted > LARGEST:
        raise RequestError(
            f"a grid takes at most {LARGEST:,} configurations: received a [space] of more; take larger steps, or "
            "choose another sampler."
        )
    return counted


def _check_space(space: Space) -> None:
    size(space)


def _make(request: SamplerRequest[GridSettings]) -> BaseSampler:
    from assay.search.samplers.grid_sampler import GridSampler  # for the same reason

    return GridSampler(request.space, request.study_seed)


SAMPLER = Sampler(
    "grid",
    "every configuration once, in shuffled order; ranges need steps",
    GridSettings,
    _make,
    check_space=_check_space,
    size=size,
)
