"""Samplers by name: each proposes the next configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from assay.models.names import check_name
from assay.models.settings import Settings
from assay.search.samplers import cmaes, gp, grid, nsga2, qmc, random, tpe
from assay.search.samplers.base import AnySampler, SamplerRequest

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from assay.search.space import Space

SAMPLERS: Mapping[str, AnySampler] = {
    sampler.name: sampler
    for sampler in (
        tpe.SAMPLER,
        random.SAMPLER,
        grid.SAMPLER,
        qmc.SAMPLER,
        cmaes.SAMPLER,
        gp.SAMPLER,
        nsga2.SAMPLER,
    )
}


def get_sampler(name: str) -> AnySampler:
    """Return the sampler of this name.

    Raises:
        RequestError: there is none.
    """
    return SAMPLERS[check_name("sampler", name, SAMPLERS)]


def make_sampler(
    name: str,
    seed: int,
    drawn: int,
    space: Space,
    options: Settings | None = None,
    objectives: int = 1,
    opening: int = 0,
) -> BaseSampler:
    """Return a new sampler of Optuna.

    Args:
        name: name of the sampler.
        seed: random seed of the study.
        drawn: number of trials that the study has.
        space: the search space.
        options: the sampler's options; None for its defaults.
        objectives: number of objectives of the study.
        opening: how often a shared study was opened before; else 0.

    Raises:
        RequestError: there is no sampler of that name, it cannot search this space, or a package
            that it needs is missing.

    Example:
        >>> make_sampler("tpe", seed=0, drawn=0, space=read_space({"units": [16, 32]}))
    """
    sampler = get_sampler(name)
    sampler.check(space, objectives)
    settings = sampler.settings() if options is None else options
    return sampler.make(SamplerRequest(seed, drawn, space, settings, opening))
