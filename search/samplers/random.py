"""Random search: every configuration drawn independently (Bergstra and Bengio, JMLR 2012)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.models.settings import Settings
from assay.search.samplers.base import Sampler, SamplerRequest

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class RandomSettings(Settings):
    """Options of random search: none."""


def _make(request: SamplerRequest[RandomSettings]) -> BaseSampler:
    import optuna  # here: naming samplers imports no Optuna

    return optuna.samplers.RandomSampler(seed=request.session_seed)


SAMPLER = Sampler(
    "random", "every configuration drawn independently", RandomSettings, _make, learns=False
)
