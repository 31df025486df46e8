"""Convolutional networks: blocks of convolutions, then a dense head."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from pydantic import Field

from assay.models.architectures.activations import maxout_pieces
from assay.models.architectures.fields import (
    L1,
    L2,
    MOST_UNITS,
    Activation,
    BatchNorm,
    Dropout,
    Initializer,
)
from assay.models.architectures.layers import (
    apply_hidden_layer,
    apply_output_layer,
    apply_units,
    weight_arguments,
)
from assay.models.errors import RequestError
from assay.models.settings import Settings

if TYPE_CHECKING:
    import keras


MOST_BLOCKS = 20
"""Most blocks: images of a million pixels a side can be halved no more often."""

LARGEST_KERNEL = 1_000
"""Largest height and width of a convolution, in pixels."""


class CNNSettings(Settings):
    """Settings of a convolutional network."""

    blocks: int = Field(
        default=3,
        ge=1,
        le=MOST_BLOCKS,
        description="Number of blocks; each has two convolutions and halves the image.",
    )
    filters: int = Field(
        default=16,
        ge=1,
        le=MOST_UNITS,
        description="Channels of the first block; every later block doubles them.",
    )
    kernel_size: int = Field(
        default=3,
        ge=1,
        le=LARGEST_KERNEL,
        description="Height and width of a convolution, in pixels.",
    )
    dense_units: int = Field(
        default=128,
        ge=1,
        le=MOST_UNITS,
        description="Units of the dense layer between blocks and logits.",
    )
    activation: Activation = "relu"
    dropout: Dropout = 0.0
    batch_norm: BatchNorm = False
    l1: L1 = 0.0
    l2: L2 = 0.0
    initializer: Initializer = "glorot_uniform"


def describe(settings: CNNSettings, input_shape: tuple[int, ...], outputs: int) -> keras.Model:
    """Describe the network: (batch, *input_shape) -> (batch, outputs).

    Raises:
        RequestError: the input is not an image, or too small for so many blocks.
    """
    import keras  # not at the top: settings are checked without a backend

    check_input(settings, input_shape)
    inputs = keras.Input(input_shape)
    x = inputs
    for block in range(settings.blocks):
        x = _apply_block(x, settings, filters=settings.filters * 2**block)
    x = keras.layers.Flatten()(x)
    x = apply_hidden_layer(x, settings.dense_units, settings)
    return keras.Model(inputs, apply_output_layer(x, outputs, settings), name="cnn")


def _apply_block(x: keras.KerasTensor, settings: CNNSettings, filters: int) -> keras.KerasTensor:
    """Apply a block: (batch, h, w, c) -> (batch, h // 2, w // 2, filters)."""
    import keras  # not at the top: settings are checked without a backend

    make_convolution = functools.partial(
        keras.layers.Conv2D,
        filters,
        settings.kernel_size,
        padding="same",
        **weight_arguments(settings),
    )
    for _ in range(2):
        x = apply_units(x, make_convolution, settings.activation, settings.batch_norm)
    return keras.layers.MaxPooling2D(2)(x)


def check_input(settings: CNNSettings, input_shape: tuple[int, ...]) -> None:
    """Check that every block can halve inputs of this shape.

    Raises:
        RequestError: the inputs are not images, or too small.
    """
    if len(input_shape) != 3:
        raise RequestError(
            "cnn needs images of shape (height, width, channels): received inputs of shape "
            f"{input_shape}; use the family 'mlp' or 'linear' for rows and sequences of features."
        )
    height, width, _ = input_shape
    smaller_side = min(height, width)
    if smaller_side < 2**settings.blocks:
        most_blocks = smaller_side.bit_length() - 1
        advice = f"set blocks to at most {most_blocks}" if most_blocks else "use the family 'mlp'"
        raise RequestError(
            f"cnn halves the image once per block, so blocks = {settings.blocks} needs at least "
            f"{2**settings.blocks} pixels a side: received {height} x {width}; {advice}."
        )


def count_macs(settings: CNNSettings, input_shape: tuple[int, ...], outputs: int) -> int:
    """Return the MACs (multiply-accumulate operations) of a forward pass of one example."""
    height, width, channels = input_shape
    hidden_macs = 0
    for block in range(settings.blocks):
        filters = settings.filters * 2**block
        hidden_macs += height * width * settings.kernel_size**2 * (channels + filters) * filters
        height, width, channels = height // 2, width // 2, filters
    hidden_macs += height * width * channels * settings.dense_units
    return maxout_pieces(settings.activation) * hidden_macs + settings.dense_units * outputs
