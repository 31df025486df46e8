"""The convolutional network: blocks of two convolutions and a pooling, then a dense head."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from pydantic import Field

from assay.models.architectures.activations import pieces
from assay.models.architectures.fields import L1, L2, Activation, BatchNorm, Dropout, Initializer
from assay.models.architectures.layers import hidden, logits, unit, weights
from assay.models.errors import RequestError
from assay.models.settings import Settings

if TYPE_CHECKING:
    import keras


class CNNSettings(Settings):
    """What a convolutional network can vary in."""

    blocks: int = Field(
        default=3, ge=1, description="How many times the image is convolved twice and halved."
    )
    filters: int = Field(
        default=16, ge=1, description="Channels of the first block; every later block doubles them."
    )
    kernel_size: int = Field(
        default=3, ge=1, description="Height and width of a convolution, in pixels."
    )
    dense_units: int = Field(
        default=128, ge=1, description="Units of the dense layer between blocks and logits."
    )
    activation: Activation = "relu"
    dropout: Dropout = 0.0
    batch_norm: BatchNorm = False
    l1: L1 = 0.0
    l2: L2 = 0.0
    initializer: Initializer = "glorot_uniform"


def describe(settings: CNNSettings, input_shape: tuple[int, ...], outputs: int) -> keras.Model:
    """Describe the network: (batch, height, width, channels) -> logits, or a regression's values,
    (batch, outputs).

    Raises:
        RequestError: the input is no image, or too small to be halved once a block.
    """
    import keras  # not at the top: settings are checked without a backend

    check_input(settings, input_shape)
    inputs = keras.Input(input_shape)
    x = inputs
    for block in range(settings.blocks):
        x = _block(x, settings, filters=settings.filters * 2**block)
    x = keras.layers.Flatten()(x)
    x = hidden(x, settings.dense_units, settings)
    return keras.Model(inputs, logits(x, outputs, settings), name="cnn")


def _block(x: keras.KerasTensor, settings: CNNSettings, filters: int) -> keras.KerasTensor:
    """(batch, height, width, channels) -> (batch, height // 2, width // 2, filters)."""
    import keras  # not at the top: settings are checked without a backend

    convolution = functools.partial(
        keras.layers.Conv2D, filters, settings.kernel_size, padding="same", **weights(settings)
    )
    for _ in range(2):
        x = unit(x, convolution, settings.activation, settings.batch_norm)
    return keras.layers.MaxPooling2D(2)(x)


def check_input(settings: CNNSettings, input_shape: tuple[int, ...]) -> None:
    """See that inputs of this shape can be halved once a block.

    Raises:
        RequestError: they are no images, or too small ones.
    """
    if len(input_shape) != 3:
        raise RequestError(
            f"cnn needs images of shape (height, width, channels): received inputs of shape {input_shape}; "
            "use the family 'mlp' or 'linear' for rows of features."
        )
    side = min(input_shape[:2])
    if side < 2**settings.blocks:
        raise RequestError(
            f"cnn halves the image once a block, so blocks = {settings.blocks} needs at least {2**settings.blocks} "
            f"pixels a side: received {input_shape[0]} x {input_shape[1]}; set blocks to at most "
            f"{side.bit_length() - 1}{', or use the family mlp' if side < 2 else ''}."
        )


def macs(settings: CNNSettings, input_shape: tuple[int, ...], outputs: int) -> int:
    """Return the multiplications of one example's way through the network."""
    height, width, channels = input_shape
    hidden_layers = 0
    for block in range(settings.blocks):
        filters = settings.filters * 2**block
        hidden_layers += height * width * settings.kernel_size**2 * (channels + filters) * filters
        height, width, channels = height // 2, width // 2, filters
    hidden_layers += height * width * channels * settings.dense_units
    return pieces(settings.activation) * hidden_layers + settings.dense_units * outputs
