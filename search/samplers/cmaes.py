"""CMA-ES, covariance matrix adaptation evolution strategy (Hansen, arXiv:1604.00772)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from assay.models.errors import RequestError
from assay.models.settings import Settings
from assay.search import optuna_compat
from assay.search.samplers.base import Sampler, SamplerRequest, StartupTrials

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from assay.search.space import Space

_KINDS = ("use_separable_cma", "with_margin", "lr_adapt")


class CmaesSettings(Settings):
    """Options of `optuna.samplers.CmaEsSampler` that are not deprecated, with its defaults."""

    n_startup_trials: StartupTrials = 1
    popsize: int | None = Field(
        default=None,
        ge=4,  # of fewer, one trial would be kept, and no covariance could be estimated
        description="Number of trials of a generation; by default 4 + 3 ln(number of ranges), "
        "rounded down.",
    )
    consider_pruned_trials: bool = Field(
        default=False,
        description="Whether pruned trials count, with their last value; advised with hyperband.",
    )
    use_separable_cma: bool = Field(
        default=False,
        description="Whether hyperparameters are modelled as independent, which learns faster if "
        "they are.",
    )
    with_margin: bool = Field(
        default=False,
        description="Whether integers and steps are kept from settling on one value too soon.",
    )
    lr_adapt: bool = Field(
        default=False,
        description="Whether its learning rate adapts, for values that are noisy or have many "
        "peaks.",
    )

    @model_validator(mode="after")
    def _check_kinds(self) -> Self:
        kinds = [name for name in _KINDS if getattr(self, name)]
        if len(kinds) > 1:
            raise ValueError(f"{' and '.join(kinds)} exclude each other: keep one")
        return self


def _check_space(space: Space) -> None:
    from optuna.distributions import CategoricalDistribution  # here: naming imports no Optuna

    # Its state is a pickle in the storage. With another release of Optuna it is not certain that
    # our restricted reader of it is called.
    optuna_compat.check_supported("sampler 'cmaes'")
    distributions = [parameter.distribution for parameter in space.values()]
    if all(
        isinstance(distribution, CategoricalDistribution) or distribution.single()
        for distribution in distributions
    ):
        raise RequestError(
            "sampler 'cmaes' searches ranges of numbers: received a [space] of "
            f"{', '.join(space) or 'nothing'}, which has none; choose another with --sampler, or "
            "make a list of numbers a range."
        )


def _make(request: SamplerRequest[CmaesSettings]) -> BaseSampler:
    import optuna  # here: naming samplers imports no Optuna

    from assay.search.samplers.cmaes_storage import SafeCmaEsSampler

    return SafeCmaEsSampler(
        len(request.space),
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
    max_objectives=1,
    check_space=_check_space,
)
