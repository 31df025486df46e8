"""How many parameters the layers of a network have, as Keras counts them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class LayerConfig:
    """A layer of Keras.

    Attributes:
        layer: name of its class in `keras.layers`, such as "Dense".
        arguments: its arguments by name.
    """

    layer: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerSize:
    """What Keras counts of a layer.

    Attributes:
        output_shape: shape of its output for one example.
        weights: number of entries of its kernel; 0 without one.
        biases: number of entries of its bias; 0 without one.
    """

    output_shape: tuple[int, ...]
    weights: int
    biases: int

    @property
    def parameters(self) -> int:
        """Number of its parameters."""
        return self.weights + self.biases


def measure_layers(
    layers: Sequence[LayerConfig], input_shape: tuple[int, ...]
) -> Sequence[LayerSize]:
    """Build layers one after the other, and return the size of each.

    One layer is in memory at a time, so that networks of many millions of parameters can be
    counted.

    Args:
        layers: the layers in the order in which an example passes them.
        input_shape: shape of one input, such as (height, width, channels).

    Raises:
        ValueError: a layer has parameters that are neither a kernel nor a bias.

    Example:
        >>> [size.parameters for size in measure_layers([LayerConfig("Dense", {"units": 4})], (3,))]
        [16]
    """
    import keras  # here, because its backend must be chosen first

    sizes: list[LayerSize] = []
    shape: tuple[int, ...] = input_shape
    for config in layers:
        layer = getattr(keras.layers, config.layer)(**config.arguments)
        layer.build((None, *shape))
        _, *sides = layer.compute_output_shape((None, *shape))
        shape = tuple(sides)
        counts = {"kernel": 0, "bias": 0}
        for variable in layer.weights:
            if variable.name not in counts:
                raise ValueError(f"{config.layer} has the parameter {variable.name}.")
            counts[variable.name] += math.prod(variable.shape)
        size = LayerSize(shape, counts["kernel"], counts["bias"])
        if size.parameters != layer.count_params():
            raise ValueError(f"{config.layer} has {layer.count_params()} parameters by Keras.")
        sizes.append(size)
    return sizes
