"""The linear classifier: softmax regression on the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.fields import L2, Initializer
from models.layers import logits
from models.settings import Settings

if TYPE_CHECKING:
    import keras


class LinearSettings(Settings):
    """What a linear classifier can vary in."""

    l2: L2 = 0.0
    initializer: Initializer = "glorot_uniform"


def describe(settings: LinearSettings, input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Describe the network: (batch, *input_shape) -> logits (batch, classes)."""
    import keras  # not at the top: settings are checked without a backend

    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, logits(x, classes, settings.l2, settings.initializer), name="linear")
