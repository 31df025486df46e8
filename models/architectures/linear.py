"""The linear model: softmax regression on the pixels, or linear regression."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from assay.models.architectures.fields import L1, L2, Initializer
from assay.models.architectures.layers import logits
from assay.models.settings import Settings

if TYPE_CHECKING:
    import keras


class LinearSettings(Settings):
    """What a linear model can vary in."""

    l1: L1 = 0.0
    l2: L2 = 0.0
    initializer: Initializer = "glorot_uniform"


def describe(settings: LinearSettings, input_shape: tuple[int, ...], outputs: int) -> keras.Model:
    """Describe the network: (batch, *input_shape) -> logits, or a regression's values, (batch,
    outputs).
    """
    import keras  # not at the top: settings are checked without a backend

    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, logits(x, outputs, settings), name="linear")


def macs(settings: LinearSettings, input_shape: tuple[int, ...], outputs: int) -> int:
    """Return the multiplications of one example's way through the network."""
    return math.prod(input_shape) * outputs
