"""Quasi-random sequences (Bergstra and Bengio, JMLR 2012, section 4): they cover a space evenly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from assay.models.settings import Settings
from assay.search.samplers.base import Sampler, SamplerRequest

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class QmcSettings(Settings):
    """Options of `optuna.samplers.QMCSampler`, with its names and defaults."""

    qmc_type: Literal["sobol", "halton"] = Field(
        default="sobol",
        description="The sequence; sobol is most even with 16, 32, 64, ... trials.",
    )
    scramble: bool = Field(
        default=False,
        description="Whether the seed shuffles the sequence; if not, every seed has the same.",
    )


def _make(request: SamplerRequest[QmcSettings]) -> BaseSampler:
    import optuna  # here: naming samplers imports no Optuna

    # Optuna stores the position in the sequence in the study, under the seed if that shuffles:
    # with another seed a resumed study would begin another sequence. The first trial and
    # conditional hyperparameters are outside the sequence: they are drawn by another sampler, with
    # another seed in every session.
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
    learns=False,
)
