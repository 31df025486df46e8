"""The multi-layer perceptron: hidden layers of equal width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from models.fields import L2, Activation, Dropout, Initializer
from models.layers import hidden, logits
from models.settings import Settings

if TYPE_CHECKING:
    import keras


class MlpSettings(Settings):
    """What a multi-layer perceptron can vary in."""

    hidden_units: int = Field(default=100, ge=1, description="How many units each hidden layer has.")
    hidden_layers: int = Field(default=1, ge=1, description="How many hidden layers there are.")
    activation: Activation = "relu"
    dropout: Dropout = 0.0
    l2: L2 = 0.0
    initializer: Initializer = "glorot_uniform"


def describe(settings: MlpSettings, input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Describe the network: (batch, *input_shape) -> logits (batch, classes)."""
    import keras  # not at the top: settings are checked without a backend

    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    for _ in range(settings.hidden_layers):
        x = hidden(x, settings.hidden_units, settings.activation, settings.dropout, settings.l2, settings.initializer)
    return keras.Model(inputs, logits(x, classes, settings.l2, settings.initializer), name="mlp")
