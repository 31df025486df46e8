"""Layers as every family builds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models import activations

if TYPE_CHECKING:
    import keras


def hidden(
    x: keras.KerasTensor, units: int, activation: str, dropout: float, l2: float, initializer: str
) -> keras.KerasTensor:
    """Return a dense hidden layer of (batch, features): weighted sums, activation, dropout; shape (batch, units)."""
    import keras  # not at the top: settings are checked without a backend

    x = keras.layers.Dense(units, kernel_initializer=initializer, kernel_regularizer=penalty(l2))(x)
    x = activations.layer(activation)(x)
    return keras.layers.Dropout(dropout)(x) if dropout > 0 else x


def logits(x: keras.KerasTensor, classes: int, l2: float, initializer: str) -> keras.KerasTensor:
    """Return the output layer of (batch, features): one logit a class, no softmax; shape (batch, classes)."""
    import keras  # not at the top: settings are checked without a backend

    return keras.layers.Dense(classes, kernel_initializer=initializer, kernel_regularizer=penalty(l2), name="logits")(x)


def penalty(l2: float) -> keras.regularizers.Regularizer | None:
    """Return what adds l2 times the sum of the squared weights to the loss; None, which costs nothing, for 0."""
    import keras  # not at the top: settings are checked without a backend

    return keras.regularizers.L2(l2) if l2 > 0 else None
