"""Bayesian optimisation with a Gaussian process (Ament et al., NeurIPS 2023, for its log expected
improvement).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from assay.models.settings import Settings
from assay.search.samplers.base import Sampler, SamplerRequest, Startup

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class GpSettings(Settings):
    """The options of `optuna.samplers.GPSampler`, under its names and with its defaults."""

    n_startup_trials: Startup = 10
    deterministic_objective: bool = Field(
        default=False,
        description="Whether the same configuration has the same value whatever its seed.",
    )


def _make(request: SamplerRequest[GpSettings]) -> BaseSampler:
    import optuna  # not at the top: naming samplers must cost the command line nothing

    return optuna.samplers.GPSampler(
        seed=request.session_seed, warn_independent_sampling=False, **request.options.model_dump()
    )


SAMPLER = Sampler(
    "gp",
    "Gaussian process: makes most of few, dear trials; at most 500, needs torch",
    GpSettings,
    _make,
    packages={"torch": "torch", "scipy": "scipy"},
    extra="gp",
    most_trials=(500, "what it takes to choose one grows with the cube of their number"),
)
