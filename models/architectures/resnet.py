"""The residual network for small images: three stages of blocks whose input is added to their
output.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from pydantic import Field

from assay.models.architectures.activations import pieces
from assay.models.architectures.fields import L1, L2, Activation, Dropout, Initializer
from assay.models.architectures.layers import (
    activate,
    dropped,
    logits,
    unit,
    weighted_sums,
    weights,
)
from assay.models.errors import RequestError
from assay.models.settings import Settings

if TYPE_CHECKING:
    import keras

STAGES = 3
SMALLEST_SIDE = 4
"""In pixels: the two later stages each halve the image, and one pixel has no neighbours to be
convolved with.
"""


class ResNetSettings(Settings):
    """What a residual network can vary in; it has 6 blocks + 2 layers with weights. Its
    convolutions are normalised.
    """

    blocks: int = Field(
        default=1, ge=1, description="Blocks of two convolutions in each of the three stages."
    )
    filters: int = Field(
        default=16, ge=1, description="Channels of the first stage; each later one doubles them."
    )
    activation: Activation = "relu"
    dropout: Dropout = 0.0
    l1: L1 = 0.0
    l2: L2 = 0.0
    initializer: Initializer = "he_normal"


def describe(settings: ResNetSettings, input_shape: tuple[int, ...], outputs: int) -> keras.Model:
    """Describe the network: (batch, height, width, channels) -> logits, or a regression's values,
    (batch, outputs).

    He et al., 'Deep residual learning for image recognition', 2015, section 4.2: a convolution;
    three stages of filters, 2 filters and 4 filters channels, the later two halving the image; the
    mean over what is left; logits. There, filters = 16 and blocks is their n: 3 gives ResNet-20.
    They use no dropout; here it comes before the logits.

    Raises:
        RequestError: the input is no image, or too small to be halved twice.
    """
    import keras  # not at the top: settings are checked without a backend

    check_input(settings, input_shape)
    inputs = keras.Input(input_shape)
    x = unit(inputs, _convolution(settings, settings.filters), settings.activation, batch_norm=True)
    for stage in range(STAGES):
        for block in range(settings.blocks):
            x = _block(x, settings, halve=stage > 0 and block == 0)
    x = dropped(keras.layers.GlobalAveragePooling2D()(x), settings.dropout)
    return keras.Model(inputs, logits(x, outputs, settings), name="resnet")


def _block(x: keras.KerasTensor, settings: ResNetSettings, halve: bool) -> keras.KerasTensor:
    """(batch, height, width, channels) -> the same, or (batch, height / 2 rounded up, width / 2, 2
    channels).

    With maxout the input is added to the larger of two sums, which is the larger of the two with
    the input added.
    """
    import keras  # not at the top: settings are checked without a backend

    shortcut, filters = x, x.shape[-1]
    if halve:
        shortcut, filters = _halved(x), 2 * filters
        # Where `padding="same"` would look one pixel off what the shortcut takes.
        x = keras.layers.ZeroPadding2D(1)(x)
    first = (
        _convolution(settings, filters, strides=2, padding="valid")
        if halve
        else _convolution(settings, filters)
    )
    x = unit(x, first, settings.activation, batch_norm=True)
    x = weighted_sums(x, _convolution(settings, filters), settings.activation, batch_norm=True)
    return activate(keras.layers.Add()([x, shortcut]), settings.activation)


def _halved(x: keras.KerasTensor) -> keras.KerasTensor:
    """Every other pixel of (batch, height, width, channels), with as many channels of zeros again
    (their option A).
    """
    import keras  # not at the top: settings are checked without a backend

    kept = keras.layers.AveragePooling2D(pool_size=1, strides=2)(x)
    before, after = x.shape[-1] // 2, x.shape[-1] - x.shape[-1] // 2
    return keras.ops.pad(kept, [[0, 0], [0, 0], [0, 0], [before, after]])


def _convolution(
    settings: ResNetSettings, filters: int, strides: int = 1, padding: str = "same"
) -> functools.partial[keras.layers.Conv2D]:
    """Return what makes a 3 x 3 convolution."""
    import keras  # not at the top: settings are checked without a backend

    return functools.partial(
        keras.layers.Conv2D, filters, 3, strides=strides, padding=padding, **weights(settings)
    )


def check_input(settings: ResNetSettings, input_shape: tuple[int, ...]) -> None:
    """See that inputs of this shape can be halved twice.

    Raises:
        RequestError: they are no images, or too small ones.
    """
    if len(input_shape) != 3:
        raise RequestError(
            f"resnet needs images of shape (height, width, channels): received inputs of shape {input_shape}; "
            "use the family 'mlp' or 'linear' for rows of features."
        )
    if min(input_shape[:2]) < SMALLEST_SIDE:
        raise RequestError(
            f"resnet halves the image twice, which needs at least {SMALLEST_SIDE} pixels a side: received "
            f"{input_shape[0]} x {input_shape[1]}; use the family 'mlp'."
        )


def macs(settings: ResNetSettings, input_shape: tuple[int, ...], outputs: int) -> int:
    """Return the multiplications of one example's way through the network."""
    height, width, channels = input_shape
    filters = settings.filters
    convolutions = height * width * 9 * channels * filters
    for stage in range(STAGES):
        if stage > 0:  # its first convolution sees half the filters, at every other pixel
            height, width, filters = (height + 1) // 2, (width + 1) // 2, 2 * filters
            convolutions -= height * width * 9 * (filters // 2) * filters
        convolutions += 2 * settings.blocks * height * width * 9 * filters * filters
    return pieces(settings.activation) * convolutions + filters * outputs
