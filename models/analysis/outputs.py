"""What a network with given weights computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from assay.models.architectures.registry import get_family

Array: TypeAlias = NDArray[Any]


def weight_shapes(
    family: str, settings: Mapping[str, Any], input_shape: tuple[int, ...], outputs: int
) -> list[tuple[int, ...]]:
    """Return the shapes of a network's weights, in the order of Keras.

    Args:
        family: name of a built-in family.
        settings: its settings by name; the others have their defaults.
        input_shape: shape of one input.
        outputs: number of outputs.

    Raises:
        RequestError: there is no such family, or a setting is none of it.
    """
    return [tuple(weight.shape) for weight in _describe(family, settings, input_shape, outputs)[1]]


def compute_outputs(
    family: str,
    settings: Mapping[str, Any],
    weights: Sequence[Array],
    x: Array,
) -> Array:
    """Return what a network with these weights computes.

    Args:
        family: name of a built-in family.
        settings: its settings by name; the others have their defaults.
        weights: its weights, in the order of Keras; the last one is the bias of the output layer.
        x: inputs (examples, ...).

    Returns:
        Its outputs, float32 (examples, outputs): logits of classes, or the values of a regression.

    Raises:
        RequestError: there is no such family, or a setting is none of it.

    Example:
        >>> compute_outputs("mlp", {"hidden_units": 3}, weights, x).shape
        (1000, 10)
    """
    import keras  # here, because its backend must be chosen first

    network, _ = _describe(family, settings, x.shape[1:], len(weights[-1]))
    network.set_weights(list(weights))
    outputs = network(keras.ops.convert_to_tensor(np.asarray(x, np.float32)), training=False)
    return np.asarray(keras.ops.convert_to_numpy(outputs))


def _describe(
    family: str, settings: Mapping[str, Any], input_shape: tuple[int, ...], outputs: int
) -> tuple[Any, list[Array]]:
    chosen = get_family(family)
    network = chosen.describe(chosen.settings.read(dict(settings), "[model]"), input_shape, outputs)
    return network, network.get_weights()
