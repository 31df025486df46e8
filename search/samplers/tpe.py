"""The tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011; Falkner et al., ICML
2018).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from assay.models.settings import Settings
from assay.search import optuna_compat
from assay.search.samplers.base import Sampler, SamplerRequest, Startup

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class TpeSettings(Settings):
    """The options of `optuna.samplers.TPESampler`, under its names and with the defaults of Optuna
    5.
    """

    n_startup_trials: Startup = 10
    n_ei_candidates: int = Field(
        default=24,
        ge=1,
        description="How many candidates are drawn, of which the one of best expectation is tried.",
    )
    multivariate: bool | None = Field(
        default=None,
        description="Whether hyperparameters are modelled together; unless said, with one objective and not with more.",
    )
    group: bool | None = Field(
        default=None,
        description="Whether those that only exist together are modelled together; unless said, where the space has "
        "conditions.",
    )
    constant_liar: bool = Field(
        default=True,
        description="Whether trials under way count as bad ones, which keeps workers from trying the same thing.",
    )

    @model_validator(mode="after")
    def _group_is_multivariate(self) -> Self:
        if self.group and self.multivariate is False:
            raise ValueError(
                "group = true needs multivariate: leave multivariate out, or set it to true"
            )
        return self


def _make(request: SamplerRequest[TpeSettings]) -> BaseSampler:
    from optuna.samplers import TPESampler  # not at the top: naming samplers must not import Optuna

    options = request.options.model_dump()
    if request.options.group is None:
        conditional = any(parameter.when for parameter in request.space.values())
        options["group"] = conditional and request.options.multivariate is not False
    if options["group"]:
        options["multivariate"] = (
            True  # what group needs, also where Optuna's own choice would be otherwise
        )
    kind = TPESampler
    if optuna_compat.is_supported():
        from assay.search.samplers.fast_tpe import FastTPESampler  # here for the same reason

        kind = FastTPESampler
    return kind(seed=request.session_seed, **options)


SAMPLER = Sampler(
    "tpe",
    "tree-structured Parzen estimator: tries what resembles the good trials so far",
    TpeSettings,
    _make,
)
