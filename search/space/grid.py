"""Grid of a space: all of its configurations, if their number is finite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from assay.models.errors import RequestError
from assay.search.space.parameter import Choice, Parameter
from assay.search.space.space import Configuration, Space, is_active


def grid_configurations(space: Space) -> Iterator[Configuration]:
    """Return an iterator over all configurations; the last parameter changes first.

    Raises:
        RequestError: a range is continuous and has no step.

    Example:
        >>> from assay.search.space import read_space
        >>> space = read_space({"layers": [1, 2], "dropout": [0.0, 0.5]})
        >>> next(grid_configurations(space))
        {'layers': 1, 'dropout': 0.0}
    """
    choices = {name: grid_values(name, parameter) for name, parameter in space.items()}
    return _extend({}, list(space), space, choices)


def grid_values(name: str, parameter: Parameter) -> list[Choice]:
    """Return all values of a parameter.

    Args:
        name: name of the parameter, for the message.
        parameter: the parameter.

    Raises:
        RequestError: it is a continuous range without a step.
    """
    match parameter.distribution:
        case CategoricalDistribution():
            return parameter.extreme_values()
        case IntDistribution(low=low, high=high, step=step):
            return list(range(low, high + 1, step))
        case FloatDistribution(low=low, high=high) if low == high:
            return [low]
        case FloatDistribution(low=low, high=high, step=float(step)):
            steps = round((high - low) / step)
            return [parameter.decode(low + index * step) for index in range(steps + 1)]
        case _:
            raise RequestError(
                f"a grid needs a step in every continuous range: [space] {name} is {parameter}; "
                "give it a step, list its values, or choose another sampler."
            )


def _extend(
    configuration: Configuration,
    names: list[str],
    space: Space,
    choices: Mapping[str, list[Choice]],
) -> Iterator[Configuration]:
    """Yield all configurations that extend one by further parameters."""
    if not names:
        yield configuration
        return
    name, *others = names
    if not is_active(space[name], configuration):
        yield from _extend(configuration, others, space, choices)
        return
    for value in choices[name]:
        yield from _extend({**configuration, name: value}, others, space, choices)
