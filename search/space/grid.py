"""Every configuration of a space that has finitely many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from assay.models.errors import RequestError
from assay.search.space.parameter import Choice, Parameter
from assay.search.space.space import Configuration, Space, exists


def grid_configurations(space: Space) -> Iterator[Configuration]:
    """Return an iterator over every configuration, the last parameter changing fastest.

    Raises:
        RequestError: a range is continuous and has no step.
    """
    return _rest(
        {}, list(space), space, {name: values(name, parameter) for name, parameter in space.items()}
    )


def values(name: str, parameter: Parameter) -> list[Choice]:
    """Return every value that a parameter can have.

    Raises:
        RequestError: they are not to be counted; `name` says whose.
    """
    match parameter.distribution:
        case CategoricalDistribution():
            return parameter.extreme_values()
        case IntDistribution(low=low, high=high, step=step):
            return list(range(low, high + 1, step))
        case FloatDistribution(low=low, high=high) if low == high:
            return [low]
        case FloatDistribution(low=low, high=high, step=float(step)):
            return [
                parameter.decode(low + number * step)
                for number in range(round((high - low) / step) + 1)
            ]
        case _:
            raise RequestError(
                f"a grid needs a step in every continuous range: [space] {name} is {parameter}; give it a step, list "
                "its values, or choose another sampler."
            )


def _rest(
    before: Configuration, names: list[str], space: Space, choices: Mapping[str, list[Choice]]
) -> Iterator[Configuration]:
    if not names:
        yield before
        return
    name, *others = names
    if not exists(space[name], before):
        yield from _rest(before, others, space, choices)
        return
    for value in choices[name]:
        yield from _rest({**before, name: value}, others, space, choices)
