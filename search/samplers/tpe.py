"""Tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011; Falkner et al., ICML 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from assay.models.settings import Settings
from assay.search import optuna_compat
from assay.search.samplers.base import Sampler, SamplerRequest, StartupTrials

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class TpeSettings(Settings):
    """Options of `optuna.samplers.TPESampler`, with the names and defaults of Optuna 5."""

    n_startup_trials: StartupTrials = 10
    n_ei_candidates: int = Field(
        default=24,
        ge=1,
        description="Number of candidates; the one with the highest expected improvement is tried.",
    )
    multivariate: bool | None = Field(
        default=None,
        description="Whether hyperparameters are modelled together; by default with one objective "
        "alone.",
    )
    group: bool | None = Field(
        default=None,
        description="Whether hyperparameters that exist together are modelled together; by default "
        "if the space has conditions.",
    )
    constant_liar: bool = Field(
        default=True,
        description="Whether running trials count as bad ones, so that workers try different ones.",
    )

    @model_validator(mode="after")
    def _check_group(self) -> Self:
        if self.group and self.multivariate is False:
            raise ValueError(
                "group = true needs multivariate: leave multivariate out, or set it to true"
            )
        return self


def _make(request: SamplerRequest[TpeSettings]) -> BaseSampler:
    from optuna.samplers import TPESampler  # here: naming samplers imports no Optuna

    options = request.options.model_dump()
    if request.options.group is None:
        has_conditions = any(parameter.when for parameter in request.space.values())
        options["group"] = has_conditions and request.options.multivariate is not False
    if options["group"]:
        # Optuna's default of `multivariate` may be otherwise, and `group` needs it.
        options["multivariate"] = True
    kind = TPESampler
    if optuna_compat.is_supported():
        from assay.search.samplers.fast_tpe import FastTPESampler  # imports Optuna's private parts

        kind = FastTPESampler
    return kind(seed=request.session_seed, **options)


SAMPLER = Sampler(
    "tpe",
    "tree-structured Parzen estimator: tries what resembles the good trials so far",
    TpeSettings,
    _make,
)
