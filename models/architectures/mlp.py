"""The multi-layer perceptron: hidden layers of equal width, or each of its own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, field_validator, model_validator

from assay.models.architectures.activations import pieces
from assay.models.architectures.fields import L1, L2, Activation, BatchNorm, Dropout, Initializer
from assay.models.architectures.layers import hidden, logits
from assay.models.errors import RequestError
from assay.models.settings import Settings

if TYPE_CHECKING:
    import keras

_OWN_WIDTHS = (2, 3, 4)


def _own_width(layer: int) -> Any:
    return Field(
        default=None,
        ge=1,
        description=f"Units of hidden layer {layer}, where they are not hidden_units.",
    )


class MLPSettings(Settings):
    """What a multi-layer perceptron can vary in."""

    hidden_units: int | list[int] = Field(
        default=100,
        description="How many units each hidden layer has, or a list with one number a layer.",
    )
    hidden_layers: int = Field(
        default=1,
        ge=1,
        description="How many hidden layers there are; follows from hidden_units if that is a list.",
    )
    hidden_units_2: int | None = _own_width(2)
    hidden_units_3: int | None = _own_width(3)
    hidden_units_4: int | None = _own_width(4)
    activation: Activation = "relu"
    dropout: Dropout = 0.0
    batch_norm: BatchNorm = False
    l1: L1 = 0.0
    l2: L2 = 0.0
    initializer: Initializer = "glorot_uniform"

    @property
    def widths(self) -> Sequence[int]:
        """Units by hidden layer."""
        if isinstance(self.hidden_units, list):
            return self.hidden_units
        own = {layer: getattr(self, f"hidden_units_{layer}") for layer in _OWN_WIDTHS}
        layers = range(1, self.hidden_layers + 1)
        return [own[layer] if own.get(layer) is not None else self.hidden_units for layer in layers]

    @model_validator(mode="before")
    @classmethod
    def _count_layers(cls, table: Any) -> Any:
        """Fill in hidden_layers from a list of widths, so that it is known of every network."""
        widths = table.get("hidden_units") if isinstance(table, dict) else None
        return (
            {"hidden_layers": len(widths), **table}
            if isinstance(widths, list) and widths
            else table
        )

    # Before the union of types, which would say of each of them why the value is none.
    @field_validator("hidden_units", mode="before")
    @classmethod
    def _are_widths(cls, value: Any) -> Any:
        widths = value if isinstance(value, list) else [value]
        if widths and all(
            isinstance(width, int) and not isinstance(width, bool) and width >= 1
            for width in widths
        ):
            return value
        raise ValueError(
            "must be a whole number of 1 or more, or a list of such numbers, one a hidden layer"
        )

    @model_validator(mode="after")
    def _every_width_has_its_layer(self) -> Self:
        if isinstance(self.hidden_units, list) and self.hidden_layers != len(self.hidden_units):
            raise RequestError(
                f"a list of hidden_units says how many layers there are, one number a layer: received "
                f"{self.hidden_units} with hidden_layers = {self.hidden_layers}; remove hidden_layers."
            )
        for layer in _OWN_WIDTHS:
            if getattr(self, f"hidden_units_{layer}") is not None:
                self._check_own_width(layer)
        return self

    def _check_own_width(self, layer: int) -> None:
        name, value = f"hidden_units_{layer}", getattr(self, f"hidden_units_{layer}")
        if isinstance(self.hidden_units, list):
            raise RequestError(
                f"{name} is for layers of equal width: received {name} = {value} with hidden_units = "
                f"{self.hidden_units}; put it into the list."
            )
        if self.hidden_layers < layer:
            raise RequestError(
                f"{name} needs at least {layer} hidden layers: received {name} = {value} with hidden_layers = "
                f"{self.hidden_layers}; remove it or set hidden_layers to {layer} or more."
            )


def describe(settings: MLPSettings, input_shape: tuple[int, ...], outputs: int) -> keras.Model:
    """Describe the network: (batch, *input_shape) -> logits, or a regression's values, (batch,
    outputs).
    """
    import keras  # not at the top: settings are checked without a backend

    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    for units in settings.widths:
        x = hidden(x, units, settings)
    return keras.Model(inputs, logits(x, outputs, settings), name="mlp")


def macs(settings: MLPSettings, input_shape: tuple[int, ...], outputs: int) -> int:
    """Return the multiplications of one example's way through the network."""
    widths = [math.prod(input_shape), *settings.widths]
    hidden_layers = sum(seen * made for seen, made in itertools.pairwise(widths))
    return pieces(settings.activation) * hidden_layers + widths[-1] * outputs
