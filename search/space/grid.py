"""Grid of a space: all of its configurations, if their number is finite."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from assay.models.errors import RequestError
from assay.search.space.parameter import Choice, Parameter
from assay.search.space.space import Configuration, Space, is_active

MOST_GRID_VALUES = 100_000
"""Most values of a range in a grid; a grid has no more configurations either."""


def grid_configurations(space: Space) -> Iterator[Configuration]:
    """Return an iterator over all configurations; the last parameter changes first.

    Raises:
        RequestError: a range is continuous and has no step, or has too many steps.

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
        RequestError: it is a continuous range without a step, or has too many values to list.
    """
    # Counted first: a step that is too small by a typing error would fill the memory.
    if (count := count_grid_values(name, parameter)) > MOST_GRID_VALUES:
        raise RequestError(
            f"a grid takes at most {MOST_GRID_VALUES:,} values of a range: [space] {name} is "
            f"{parameter}, which has {count:.3g}; give it a larger step, or choose another sampler."
        )
    match parameter.distribution:
        case IntDistribution(low=low, high=high, step=step):
            return list(range(low, high + 1, step))
        case FloatDistribution(low=low, step=float(step)):
            return [parameter.decode(low + index * step) for index in range(int(count))]
        case _:
            return parameter.extreme_values()[: int(count)]


def count_grid_values(name: str, parameter: Parameter) -> float:
    """Return the number of values of a parameter; none is listed.

    Args:
        name: name of the parameter, for the message.
        parameter: the parameter.

    Raises:
        RequestError: it is a continuous range without a step.

    Example:
        >>> from assay.search.space import read_space
        >>> space = read_space({"units": {"low": 1, "high": 1_000_000_000}})
        >>> count_grid_values("units", space["units"])
        1000000000
    """
    match parameter.distribution:
        case CategoricalDistribution(choices=choices):
            return len(choices)
        case IntDistribution(low=low, high=high, step=step):
            return (high - low) // step + 1
        case FloatDistribution(low=low, high=high) if low == high:
            return 1
        case FloatDistribution(low=low, high=high, step=float(step)):
            steps = (high - low) / step  # infinite for the smallest floats
            return round(steps) + 1 if math.isfinite(steps) else math.inf
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
