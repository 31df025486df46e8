"""Layers that all families use."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from assay.models.architectures import activations

if TYPE_CHECKING:
    import keras

BATCH_NORM_MOMENTUM = 0.9
"""Momentum of moving means and variances: PyTorch's default. With Keras' own, 0.99, validation
differs from training for hundreds of steps, and a sweep judges trials after fewer.
"""


class WeightSettings(Protocol):
    """Settings of a layer with weights: initializer and regularizers."""

    initializer: str
    l1: float
    l2: float


class HiddenSettings(WeightSettings, Protocol):
    """Settings of hidden layers."""

    activation: str
    batch_norm: bool
    dropout: float


def apply_hidden_layer(
    x: keras.KerasTensor, units: int, settings: HiddenSettings
) -> keras.KerasTensor:
    """Apply a hidden layer: (batch, features) -> (batch, units)."""
    import keras  # not at the top: settings are checked without a backend

    dense = functools.partial(keras.layers.Dense, units, **weight_arguments(settings))
    return apply_dropout(
        apply_units(x, dense, settings.activation, settings.batch_norm), settings.dropout
    )


def apply_output_layer(
    x: keras.KerasTensor, outputs: int, settings: WeightSettings
) -> keras.KerasTensor:
    """Apply the output layer: (batch, features) -> (batch, outputs).

    The outputs are float32 in any precision: one logit per class, or the values of a regression.
    """
    import keras  # not at the top: settings are checked without a backend

    arguments = weight_arguments(settings)
    return keras.layers.Dense(outputs, **arguments, name="logits", dtype="float32")(x)


def apply_units(
    x: keras.KerasTensor,
    make_layer: Callable[..., keras.layers.Layer],
    activation: str,
    batch_norm: bool,
) -> keras.KerasTensor:
    """Apply hidden units: weighted sums, then the activation.

    Args:
        x: (batch, ...).
        make_layer: makes the layer of the weighted sums; is called with `use_bias`.
        activation: one of `activations.TRAINABLE_ACTIVATIONS`.
        batch_norm: see `apply_weighted_sums`.
    """
    return apply_activation(apply_weighted_sums(x, make_layer, activation, batch_norm), activation)


def apply_weighted_sums(
    x: keras.KerasTensor,
    make_layer: Callable[..., keras.layers.Layer],
    activation: str,
    batch_norm: bool,
) -> keras.KerasTensor:
    """Apply the weighted sums of hidden units.

    Args:
        x: (batch, ...).
        make_layer: makes the layer of the weighted sums; is called with `use_bias`.
        activation: one of `activations.TRAINABLE_ACTIVATIONS`.
        batch_norm: whether each sum is normalised over the batch (Ioffe and Szegedy, 'Batch
            normalization', 2015).
    """
    import keras  # not at the top: settings are checked without a backend

    pieces = []
    for _ in range(activations.maxout_pieces(activation)):
        # No bias before a normalisation, which would subtract it with the mean (section 3.2 there).
        piece = make_layer(use_bias=not batch_norm)(x)
        if batch_norm:
            piece = keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(piece)
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else keras.layers.Maximum()(pieces)


def apply_activation(x: keras.KerasTensor, activation: str) -> keras.KerasTensor:
    """Apply an activation to weighted sums."""
    # `apply_weighted_sums` has applied maxout already.
    return x if activation == activations.MAXOUT else activations.activation_layer(activation)(x)


def apply_dropout(x: keras.KerasTensor, dropout: float) -> keras.KerasTensor:
    """Apply dropout; a rate of 0 adds no layer."""
    import keras  # not at the top: settings are checked without a backend

    return keras.layers.Dropout(dropout)(x) if dropout > 0 else x


def weight_arguments(settings: WeightSettings) -> dict[str, Any]:
    """Return initializer and regularizer as arguments of a layer."""
    return {
        "kernel_initializer": settings.initializer,
        "kernel_regularizer": create_regularizer(settings.l1, settings.l2),
    }


def create_regularizer(l1: float, l2: float) -> keras.regularizers.Regularizer | None:
    """Create the regularizer l1 sum |w| + l2 sum w^2; None for 0."""
    import keras  # not at the top: settings are checked without a backend

    return keras.regularizers.L1L2(l1, l2) if l1 > 0 or l2 > 0 else None
