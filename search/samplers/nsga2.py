"""NSGA-II, a genetic algorithm (Deb et al., IEEE Trans. on Evolutionary Computation, 2002)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from assay.models.settings import Settings
from assay.search.samplers.base import Probability, Sampler, SamplerRequest

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.samplers.nsgaii import BaseCrossover

Crossover = Literal["uniform", "blxalpha", "sbx", "spx", "undx", "vsbx"]
_THREE_PARENTS = ("spx", "undx")


class Nsga2Settings(Settings):
    """Options of `optuna.samplers.NSGAIISampler`, with its names and defaults."""

    population_size: int = Field(
        default=50,
        ge=2,
        description="Number of complete trials of a generation; the first is drawn at random.",
    )
    mutation: Literal["polynomial"] | None = Field(
        default=None,
        description="Mutation of numbers: polynomial, close to the old value; by default drawn "
        "anew.",
    )
    mutation_prob: Probability | None = Field(
        default=None,
        description="Probability that a hyperparameter mutates; by default 1 over their number.",
    )
    crossover: Crossover = Field(
        default="uniform",
        description="How numbers of the parents are mixed; a choice is always that of one of them.",
    )
    crossover_prob: Probability = Field(
        default=0.9,
        description="Probability that a configuration has several parents.",
    )
    swapping_prob: Probability = Field(
        default=0.5,
        description="Probability that uniform crossover takes a hyperparameter from the second "
        "parent.",
    )

    @model_validator(mode="after")
    def _check_population_size(self) -> Self:
        if self.crossover in _THREE_PARENTS and self.population_size < 3:
            raise ValueError(
                f"crossover = {self.crossover!r} takes three parents: "
                "set population_size to at least 3"
            )
        return self


def _make(request: SamplerRequest[Nsga2Settings]) -> BaseSampler:
    import optuna  # here: naming samplers imports no Optuna

    options = request.options
    return optuna.samplers.NSGAIISampler(
        seed=request.session_seed,
        population_size=options.population_size,
        mutation=None if options.mutation is None else optuna.samplers.nsgaii.PolynomialMutation(),
        mutation_prob=options.mutation_prob,
        crossover=_make_crossover(options),
        crossover_prob=options.crossover_prob,
        swapping_prob=options.swapping_prob,
    )


def _make_crossover(options: Nsga2Settings) -> BaseCrossover:
    from optuna.samplers import nsgaii  # here: naming samplers imports no Optuna

    match options.crossover:
        case "uniform":
            return nsgaii.UniformCrossover(options.swapping_prob)
        case "blxalpha":
            return nsgaii.BLXAlphaCrossover()
        case "sbx":
            return nsgaii.SBXCrossover()
        case "spx":
            return nsgaii.SPXCrossover()
        case "undx":
            return nsgaii.UNDXCrossover()
        case "vsbx":
            return nsgaii.VSBXCrossover()


SAMPLER = Sampler(
    "nsga2",
    "genetic algorithm, for several objectives; its first population_size trials are random",
    Nsga2Settings,
    _make,
)
