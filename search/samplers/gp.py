"""Gaussian process (Ament et al., NeurIPS 2023, for its log expected improvement)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from assay.models.settings import Settings
from assay.search.samplers.base import Sampler, SamplerRequest, StartupTrials

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class GpSettings(Settings):
    """Options of `optuna.samplers.GPSampler`, with its names and defaults."""

    n_startup_trials: StartupTrials = 10
    deterministic_objective: bool = Field(
        default=False,
        description="Whether a configuration has the same value with every seed.",
    )


def _make(request: SamplerRequest[GpSettings]) -> BaseSampler:
    import optuna  # here: naming samplers imports no Optuna

    return optuna.samplers.GPSampler(
        seed=request.session_seed, warn_independent_sampling=False, **request.options.model_dump()
    )


SAMPLER = Sampler(
    "gp",
    "Gaussian process: for few, expensive trials; at most 500, needs torch",
    GpSettings,
    _make,
    packages={"torch": "torch", "scipy": "scipy"},
    extra="gp",
    max_trials=(500, "the time to propose one grows with the cube of their number"),
)
