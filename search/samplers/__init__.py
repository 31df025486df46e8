"""Samplers by name: which configuration is tried next."""

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
    """Return the sampler of that name.

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
    """Return a new sampler.

    Args:
        name: which.
        seed: the study's seed.
        drawn: how many trials the study already has.
        space: what is searched.
        options: of the sampler's own class of settings; None for its defaults.
        objectives: how many objectives the study has.
        opening: how often the study was opened before, where others may have it open now.

    Raises:
        RequestError: there is none of that name, it can't search this space, or a package that it
            needs is missing.
    """
    sampler = get_sampler(name)
    sampler.check(space, objectives)
    own = sampler.settings() if options is None else options
    return sampler.make(SamplerRequest(seed, drawn, space, own, opening))
