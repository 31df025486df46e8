"""Residual networks for small images."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from pydantic import Field

from assay.models.architectures.activations import maxout_pieces
from assay.models.architectures.fields import L1, L2, MOST_UNITS, Activation, Dropout, Initializer
from assay.models.architectures.layers import (
    apply_activation,
    apply_dropout,
    apply_output_layer,
    apply_units,
    apply_weighted_sums,
    weight_arguments,
)
from assay.models.errors import RequestError
from assay.models.settings import Settings

if TYPE_CHECKING:
    import keras

STAGES = 3
SMALLEST_SIDE = 4
"""In pixels: the two later stages each halve the image, and a convolution of one pixel sees only
its border.
"""


MOST_BLOCKS = 30
"""Most blocks of a stage, for the reason of `fields.MOST_LAYERS`. The networks of the paper,
section 4.2, have up to 18; one has 200.
"""


class ResNetSettings(Settings):
    """Settings of a residual network, which has 6 blocks + 2 layers with weights.

    Its convolutions are always batch-normalised.
    """

    blocks: int = Field(
        default=1,
        ge=1,
        le=MOST_BLOCKS,
        description="Blocks of two convolutions in each of the three stages.",
    )
    filters: int = Field(
        default=16,
        ge=1,
        le=MOST_UNITS,
        description="Channels of the first stage; every later stage doubles them.",
    )
    activation: Activation = "relu"
    dropout: Dropout = 0.0
    l1: L1 = 0.0
    l2: L2 = 0.0
    initializer: Initializer = "he_normal"


def describe(settings: ResNetSettings, input_shape: tuple[int, ...], outputs: int) -> keras.Model:
    """Describe the network: (batch, *input_shape) -> (batch, outputs).

    He et al., 'Deep residual learning for image recognition', 2015, section 4.2: a convolution;
    three stages of filters, 2 filters and 4 filters channels, of which the later two halve the
    image; the mean over the remaining pixels; logits. In the paper filters = 16 and blocks is n:
    3 gives ResNet-20. The paper uses no dropout; here it comes before the logits.

    Raises:
        RequestError: the input is not an image, or too small to be halved twice.
    """
    import keras  # not at the top: settings are checked without a backend

    check_input(settings, input_shape)
    inputs = keras.Input(input_shape)
    stem = _convolution(settings, settings.filters)
    x = apply_units(inputs, stem, settings.activation, batch_norm=True)
    for stage in range(STAGES):
        for block in range(settings.blocks):
            x = _apply_block(x, settings, halve=stage > 0 and block == 0)
    x = apply_dropout(keras.layers.GlobalAveragePooling2D()(x), settings.dropout)
    return keras.Model(inputs, apply_output_layer(x, outputs, settings), name="resnet")


def _apply_block(x: keras.KerasTensor, settings: ResNetSettings, halve: bool) -> keras.KerasTensor:
    """Apply a residual block.

    (batch, height, width, channels) -> the same shape, or half the size and twice the channels.

    Odd sizes are rounded up.
    """
    import keras  # not at the top: settings are checked without a backend

    shortcut, filters = x, x.shape[-1]
    first_convolution = _convolution(settings, filters)
    if halve:
        shortcut, filters = _halve(x), 2 * filters
        # `padding="same"` would be one pixel away from the pixels that the shortcut takes.
        x = keras.layers.ZeroPadding2D(1)(x)
        first_convolution = _convolution(settings, filters, strides=2, padding="valid")
    x = apply_units(x, first_convolution, settings.activation, batch_norm=True)
    x = apply_weighted_sums(
        x, _convolution(settings, filters), settings.activation, batch_norm=True
    )
    # Maxout before the addition is the same as after it: max(a, b) + c = max(a + c, b + c).
    return apply_activation(keras.layers.Add()([x, shortcut]), settings.activation)


def _halve(x: keras.KerasTensor) -> keras.KerasTensor:
    """Return every other pixel, with zeros as further channels."""
    # Option A in the paper: a shortcut without weights.
    import keras  # not at the top: settings are checked without a backend

    kept = keras.layers.AveragePooling2D(pool_size=1, strides=2)(x)
    before, after = x.shape[-1] // 2, x.shape[-1] - x.shape[-1] // 2
    return keras.ops.pad(kept, [[0, 0], [0, 0], [0, 0], [before, after]])


def _convolution(
    settings: ResNetSettings, filters: int, strides: int = 1, padding: str = "same"
) -> functools.partial[keras.layers.Conv2D]:
    """Return a maker of 3 x 3 convolutions."""
    import keras  # not at the top: settings are checked without a backend

    return functools.partial(
        keras.layers.Conv2D,
        filters,
        3,
        strides=strides,
        padding=padding,
        **weight_arguments(settings),
    )


def check_input(settings: ResNetSettings, input_shape: tuple[int, ...]) -> None:
    """Check that inputs of this shape can be halved twice.

    Raises:
        RequestError: the inputs are not images, or too small.
    """
    if len(input_shape) != 3:
        raise RequestError(
            "resnet needs images of shape (height, width, channels): received inputs of shape "
            f"{input_shape}; use the family 'mlp' or 'linear' for rows and sequences of features."
        )
    height, width, _ = input_shape
    if min(height, width) < SMALLEST_SIDE:
        raise RequestError(
            f"resnet halves the image twice, which needs at least {SMALLEST_SIDE} pixels a side: "
            f"received {height} x {width}; use the family 'mlp'."
        )


def count_macs(settings: ResNetSettings, input_shape: tuple[int, ...], outputs: int) -> int:
    """Return the MACs (multiply-accumulate operations) of a forward pass of one example."""
    height, width, channels = input_shape
    filters = settings.filters
    convolutions = height * width * 9 * channels * filters
    for stage in range(STAGES):
        if stage > 0:
            # The first convolution of the stage sees half the channels, at every other pixel.
            height, width, filters = (height + 1) // 2, (width + 1) // 2, 2 * filters
            convolutions -= height * width * 9 * (filters // 2) * filters
        convolutions += 2 * settings.blocks * height * width * 9 * filters * filters
    return maxout_pieces(settings.activation) * convolutions + filters * outputs
