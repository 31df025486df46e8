"""Layers as every family builds them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from assay.models.architectures import activations

if TYPE_CHECKING:
    import keras

BATCH_NORM_MOMENTUM = 0.9
"""What moving means and variances keep of themselves at each step: PyTorch's default. Keras' own,
0.99, needs hundreds
of steps before validation sees the network that was trained, and a sweep judges trials after
fewer."""


class Weighted(Protocol):
    """Settings of any layer with weights: where they start from and what holds them back."""

    initializer: str
    l1: float
    l2: float


class Hidden(Weighted, Protocol):
    """Settings of hidden layers."""

    activation: str
    batch_norm: bool
    dropout: float


def hidden(x: keras.KerasTensor, units: int, settings: Hidden) -> keras.KerasTensor:
    """Return a dense hidden layer of (batch, features): a unit's work, then dropout; shape (batch,
    units).
    """
    import keras  # not at the top: settings are checked without a backend

    dense = functools.partial(keras.layers.Dense, units, **weights(settings))
    return dropped(unit(x, dense, settings.activation, settings.batch_norm), settings.dropout)


def logits(x: keras.KerasTensor, outputs: int, settings: Weighted) -> keras.KerasTensor:
    """Return the output layer of (batch, features), without an activation; shape (batch, outputs).

    In classification one logit a class, in regression the values themselves; float32 in any
    precision.
    """
    import keras  # not at the top: settings are checked without a backend

    return keras.layers.Dense(outputs, **weights(settings), name="logits", dtype="float32")(x)


def unit(
    x: keras.KerasTensor,
    linear: Callable[..., keras.layers.Layer],
    activation: str,
    batch_norm: bool,
) -> keras.KerasTensor:
    """Return what units make of x: weighted sums, normalised if asked, then the activation.

    Args:
        x: (batch, ...).
        linear: makes the layer of the weighted sums; it is told `use_bias`.
        activation: of `activations.TRAINABLE_ACTIVATIONS`.
        batch_norm: see `weighted_sums`.
    """
    return activate(weighted_sums(x, linear, activation, batch_norm), activation)


def weighted_sums(
    x: keras.KerasTensor,
    linear: Callable[..., keras.layers.Layer],
    activation: str,
    batch_norm: bool,
) -> keras.KerasTensor:
    """Return the weighted sums that an activation is applied to; with maxout the larger of two, of
    twice the weights.

    With `batch_norm` each sum is normalised over the batch (Ioffe and Szegedy, 'Batch
    normalization', 2015); its layer then has no bias, which the mean would take away again (section
    3.2 there).
    """
    import keras  # not at the top: settings are checked without a backend

    pieces = []
    for _ in range(activations.pieces(activation)):
        piece = linear(use_bias=not batch_norm)(x)
        pieces.append(
            keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(piece)
            if batch_norm
            else piece
        )
    return pieces[0] if len(pieces) == 1 else keras.layers.Maximum()(pieces)


def activate(x: keras.KerasTensor, activation: str) -> keras.KerasTensor:
    """Apply an activation to `weighted_sums`, where maxout has already done its work."""
    return x if activation == activations.MAXOUT else activations.layer(activation)(x)


def dropped(x: keras.KerasTensor, dropout: float) -> keras.KerasTensor:
    """Leave out a share of the features in training; 0 costs nothing."""
    import keras  # not at the top: settings are checked without a backend

    return keras.layers.Dropout(dropout)(x) if dropout > 0 else x


def weights(settings: Weighted) -> dict[str, Any]:
    """Return the keyword arguments of a Keras layer that its weights follow."""
    return {
        "kernel_initializer": settings.initializer,
        "kernel_regularizer": penalty(settings.l1, settings.l2),
    }


def penalty(l1: float, l2: float) -> keras.regularizers.Regularizer | None:
    """Return what adds l1 sum |w| + l2 sum w^2 over a layer's weights to the loss; None, which
    costs nothing, for 0.
    """
    import keras  # not at the top: settings are checked without a backend

    return keras.regularizers.L1L2(l1, l2) if l1 > 0 or l2 > 0 else None
