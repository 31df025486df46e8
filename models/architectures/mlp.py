"""Multi-layer perceptrons: dense hidden layers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, field_validator, model_validator

from assay.models.architectures.activations import maxout_pieces
from assay.models.architectures.fields import (
    L1,
    L2,
    MOST_LAYERS,
    MOST_UNITS,
    Activation,
    BatchNorm,
    Dropout,
    Initializer,
)
from assay.models.architectures.layers import apply_hidden_layer, apply_output_layer
from assay.models.errors import RequestError
from assay.models.settings import Settings

if TYPE_CHECKING:
    import keras

_LAYERS_WITH_OWN_WIDTH = (2, 3, 4)


def _own_width_field(layer: int) -> Any:
    return Field(
        default=None,
        ge=1,
        le=MOST_UNITS,
        description=f"Units of hidden layer {layer}. Default: hidden_units.",
    )


class MLPSettings(Settings):
    """Settings of a multi-layer perceptron.

    Example:
        >>> MLPSettings(hidden_units=64, hidden_layers=3, hidden_units_3=16).widths
        [64, 64, 16]
        >>> MLPSettings(hidden_units=[64, 32]).hidden_layers
        2
    """

    hidden_units: int | list[int] = Field(
        default=100,
        description=f"Units of each hidden layer, at most {MOST_UNITS:,}, or a list with one number"
        " per layer.",
    )
    hidden_layers: int = Field(
        default=1,
        ge=1,
        le=MOST_LAYERS,
        description="Number of hidden layers; follows from hidden_units if that is a list.",
    )
    hidden_units_2: int | None = _own_width_field(2)
    hidden_units_3: int | None = _own_width_field(3)
    hidden_units_4: int | None = _own_width_field(4)
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
        own_widths = {
            layer: getattr(self, f"hidden_units_{layer}") for layer in _LAYERS_WITH_OWN_WIDTH
        }
        return [
            self.hidden_units if own_widths.get(layer) is None else own_widths[layer]
            for layer in range(1, self.hidden_layers + 1)
        ]

    # Filled in, so that `hidden_layers` is recorded for every network.
    @model_validator(mode="before")
    @classmethod
    def _fill_in_hidden_layers(cls, table: Any) -> Any:
        widths = table.get("hidden_units") if isinstance(table, dict) else None
        if isinstance(widths, list) and widths:
            return {"hidden_layers": len(widths), **table}
        return table

    # Before Pydantic checks the union of types, whose error would name each type.
    @field_validator("hidden_units", mode="before")
    @classmethod
    def _check_hidden_units(cls, value: Any) -> Any:
        widths = value if isinstance(value, list) else [value]
        if len(widths) > MOST_LAYERS:
            raise RequestError(
                f"takes at most {MOST_LAYERS:,} hidden layers; received a list of {len(widths):,} "
                "numbers: shorten it."
            )
        if widths and all(
            isinstance(width, int) and not isinstance(width, bool) and 1 <= width <= MOST_UNITS
            for width in widths
        ):
            return value
        raise ValueError(
            f"must be a whole number from 1 to {MOST_UNITS:,}, or a list of such numbers, one per "
            "hidden layer"
        )

    @model_validator(mode="after")
    def _check_widths_have_layers(self) -> Self:
        if isinstance(self.hidden_units, list) and self.hidden_layers != len(self.hidden_units):
            raise RequestError(
                "a list of hidden_units has one number per hidden layer: received "
                f"{self.hidden_units} with hidden_layers = {self.hidden_layers}; "
                "remove hidden_layers."
            )
        for layer in _LAYERS_WITH_OWN_WIDTH:
            if getattr(self, f"hidden_units_{layer}") is not None:
                self._check_own_width(layer)
        return self

    def _check_own_width(self, layer: int) -> None:
        name, value = f"hidden_units_{layer}", getattr(self, f"hidden_units_{layer}")
        if isinstance(self.hidden_units, list):
            raise RequestError(
                f"{name} needs hidden_units to be one number: received {name} = {value} with "
                f"hidden_units = {self.hidden_units}; put it into the list."
            )
        if self.hidden_layers < layer:
            raise RequestError(
                f"{name} needs at least {layer} hidden layers: received {name} = {value} with "
                f"hidden_layers = {self.hidden_layers}; "
                f"remove it or set hidden_layers to {layer} or more."
            )


def describe(settings: MLPSettings, input_shape: tuple[int, ...], outputs: int) -> keras.Model:
    """Describe the network: (batch, *input_shape) -> (batch, outputs)."""
    import keras  # not at the top: settings are checked without a backend

    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    for units in settings.widths:
        x = apply_hidden_layer(x, units, settings)
    return keras.Model(inputs, apply_output_layer(x, outputs, settings), name="mlp")


def count_macs(settings: MLPSettings, input_shape: tuple[int, ...], outputs: int) -> int:
    """Return the MACs (multiply-accumulate operations) of a forward pass of one example."""
    widths = [math.prod(input_shape), *settings.widths]
    hidden_macs = sum(inputs * units for inputs, units in itertools.pairwise(widths))
    return maxout_pieces(settings.activation) * hidden_macs + widths[-1] * outputs
