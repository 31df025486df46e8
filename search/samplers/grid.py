"""Grid search: every configuration of a space once, in shuffled order."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from assay.models.errors import RequestError
from assay.models.settings import Settings
from assay.search.samplers.base import Sampler, SamplerRequest

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from assay.search.space import Space

MAX_CONFIGURATIONS = 100_000
"""The largest grid: listing it takes no noticeable time, and no search trains more."""


class GridSettings(Settings):
    """Options of grid search: none."""


def grid_size(space: Space) -> int:
    """Return the number of configurations of a space.

    Raises:
        RequestError: a range is continuous, or there are too many configurations.
    """
    from assay.search.space.grid import grid_configurations  # here: naming imports no Optuna

    size = sum(1 for _ in itertools.islice(grid_configurations(space), MAX_CONFIGURATIONS + 1))
    if size > MAX_CONFIGURATIONS:
        raise RequestError(
            f"a grid takes at most {MAX_CONFIGURATIONS:,} configurations: received a [space] of "
            "more; take larger steps, or choose another sampler."
        )
    return size


def _check_space(space: Space) -> None:
    grid_size(space)


def _make(request: SamplerRequest[GridSettings]) -> BaseSampler:
    from assay.search.samplers.grid_sampler import GridSampler  # here: naming imports no Optuna

    return GridSampler(request.space, request.study_seed)


SAMPLER = Sampler(
    "grid",
    "every configuration once, in shuffled order; ranges need steps",
    GridSettings,
    _make,
    check_space=_check_space,
    size=grid_size,
    learns=False,
)
