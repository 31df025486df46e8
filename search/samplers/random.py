"""Every configuration drawn independently (Bergstra and Bengio, JMLR 2012)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.models.settings import Settings
from assay.search.samplers.base import Sampler, SamplerRequest

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class RandomSettings(Settings):
    """Chance has no options."""


def _make(request: SamplerRequest[RandomSettings]) -> BaseSampler:
    import optuna  # not at the top: naming samplers must cost the command line nothing

    return optuna.samplers.RandomSampler(seed=request.session_seed)


SAMPLER = Sampler("random", "every configuration drawn independently", RandomSettings, _make)
