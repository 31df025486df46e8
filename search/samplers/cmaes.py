"""The covariance matrix adaptation evolution strategy (Hansen, arXiv:1604.00772)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from assay.models.errors import RequestError
from assay.models.settings import Settings
from assay.search.samplers.base import Sampler, SamplerRequest, Startup

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from assay.search.space import Space


class CmaesSettings(Settings):
    """The options of `optuna.samplers.CmaEsSampler`, under its names and with its defaults; not the
    deprecated ones.
    """

    n_startup_trials: Startup = 1
    popsize: int | None = Field(
        default=None,
        ge=4,  # with fewer, one of them would be kept, and no covariance could be learnt
        description="How many trials make a generation: 4 + 3 ln(ranges), rounded down, unless said.",
    )
    consider_pruned_trials: bool = Field(
        default=False,
        description="Whether pruned trials count with their last value: advised with hyperband.",
    )
    use_separable_cma: bool = Field(
        default=False,
        description="Whether hyperparameters are taken as independent, which learns faster where true.",
    )
    with_margin: bool = Field(
        default=False,
        description="Whether integers and steps are kept from settling on one value too soon.",
    )
    lr_adapt: bool = Field(
        default=False,
        description="Whether it adapts its learning rate, for values that are noisy or have many peaks.",
    )

    @model_validator(mode="after")
    def _kinds_exclude_each_other(self) -> Self:
        kinds = [
            name for name in ("use_separable_cma", "with_margin", "lr_adapt") if getattr(self, name)
        ]
        if len(kinds) > 1:
            raise ValueError(f"{' and '.join(kinds)} exclude each other: keep one")
        return self


def _check_space(space: Space) -> None:
    from optuna.distributions import CategoricalDistribution  # not at the top: see below

    if all(
        isinstance(one.distribution, CategoricalDistribution) or one.distribution.single()
        for one in space.values()
    ):
        raise RequestError(
            f"sampler 'cmaes' searches ranges of numbers: received a [space] of {', '.join(space) or 'nothing'}, which "
            "has none; choose another with --sampler, or make a list of numbers a range."
        )


def _make(request: SamplerRequest[CmaesSettings]) -> BaseSampler:
    # Not at the top: naming samplers must cost the command line nothing.
    import optuna

    from assay.search.samplers.cmaes_storage import RestoringCmaEs

    return RestoringCmaEs(
        seed=request.session_seed,
        independent_sampler=optuna.samplers.RandomSampler(seed=request.session_seed),
        warn_independent_sampling=False,
        **request.options.model_dump(),
    )


SAMPLER = Sampler(
    "cmaes",
    "evolution strategy for ranges; draws choices and conditional ones at random; needs cmaes",
    CmaesSettings,
    _make,
    packages={"cmaes": "cmaes"},
    extra="cmaes",
    most_objectives=1,
    check_space=_check_space,
)
