"""Quasi-random sequences (Bergstra and Bengio, JMLR 2012, section 4): the space covered evenly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from assay.models.settings import Settings
from assay.search.samplers.base import Sampler, SamplerRequest

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class QmcSettings(Settings):
    """The options of `optuna.samplers.QMCSampler`, under its names and with its defaults."""

    qmc_type: Literal["sobol", "halton"] = Field(
        default="sobol",
        description="Which sequence; sobol covers most evenly with 16, 32, 64, ... trials.",
    )
    scramble: bool = Field(
        default=False,
        description="Whether the seed shuffles the sequence; without, it is the same for every seed.",
    )


def _make(request: SamplerRequest[QmcSettings]) -> BaseSampler:
    import optuna  # not at the top: naming samplers must cost the command line nothing

    # The place in the sequence is kept in the study, under the seed if that shuffles: another seed
    # would begin another sequence. What lies outside it, the first trial and conditional
    # hyperparameters, is drawn anew in every session.
    return optuna.samplers.QMCSampler(
        seed=request.study_seed,
        independent_sampler=optuna.samplers.RandomSampler(seed=request.session_seed),
        warn_independent_sampling=False,
        **request.options.model_dump(),
    )


SAMPLER = Sampler(
    "qmc",
    "a quasi-random sequence: covers the space more evenly than chance",
    QmcSettings,
    _make,
    packages={"scipy": "scipy"},
)
