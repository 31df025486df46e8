"""Linear models: softmax regression or linear regression."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from assay.models.architectures.fields import L1, L2, Initializer
from assay.models.architectures.layers import apply_output_layer
from assay.models.settings import Settings

if TYPE_CHECKING:
    import keras


class LinearSettings(Settings):
    """Settings of a linear model."""

    l1: L1 = 0.0
    l2: L2 = 0.0
    initializer: Initializer = "glorot_uniform"


def describe(settings: LinearSettings, input_shape: tuple[int, ...], outputs: int) -> keras.Model:
    """Describe the network: (batch, *input_shape) -> (batch, outputs)."""
    import keras  # not at the top: settings are checked without a backend

    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, apply_output_layer(x, outputs, settings), name="linear")


def count_macs(settings: LinearSettings, input_shape: tuple[int, ...], outputs: int) -> int:
    """Return the MACs (multiply-accumulate operations) of a forward pass of one example."""
    return math.prod(input_shape) * outputs
