"""Activations by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from assay.models.errors import RequestError
from assay.models.names import check_name

if TYPE_CHECKING:
    import keras

# Names in Keras. Leaky ReLU and heaviside are made below, because Keras has no name for them.
_KERAS_NAMES = {
    "identity": "linear",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "elu": "elu",
    "gelu": "gelu",
}
LEAKY_RELU_SLOPE = 0.1
"""Slope of leaky_relu below zero. Keras' default is 0.2."""

MAXOUT = "maxout"
"""The larger of two weighted sums, max(w1 x + b1, w2 x + b2) (Columbia, Optimization II, 'Maxout';
Goodfellow et al., 'Maxout networks', 2013, with k = 2). It is a kind of layer rather than a
function, and made in `layers.py`.
"""

TRAINABLE_ACTIVATIONS = (*_KERAS_NAMES, "leaky_relu", MAXOUT)
ACTIVATIONS = (*TRAINABLE_ACTIVATIONS, "heaviside")


def check_trainable(name: str) -> str:
    """Return `name` if gradient descent can train it.

    Raises:
        RequestError: the activation is unknown, or its derivative is zero.
    """
    if check_name("activation", name, ACTIVATIONS) in TRAINABLE_ACTIVATIONS:
        return name
    raise RequestError(
        "an activation must have a derivative that gradient descent can follow, and that of "
        f"{name!r} is zero wherever it exists; use one of {', '.join(TRAINABLE_ACTIVATIONS)} "
        "(sigmoid is its smooth relative)."
    )


def maxout_pieces(name: str) -> int:
    """Return the number of weighted sums per unit: 2 with maxout, else 1."""
    return 2 if name == MAXOUT else 1


def activation_layer(name: str) -> keras.layers.Layer:
    """Return a Keras layer that applies a trainable activation.

    Raises:
        RequestError: the activation is unknown, cannot be trained, or is not a function of one
            number.
    """
    import keras  # not at the top: settings are checked without a backend

    # Keras' own layers, so a saved model loads without Assay's code.
    _check_pointwise(check_trainable(name))
    if name == "leaky_relu":
        return keras.layers.LeakyReLU(negative_slope=LEAKY_RELU_SLOPE)
    return keras.layers.Activation(_KERAS_NAMES[name])


def activation_function(name: str) -> Callable[[Any], Any]:
    """Return an activation as a function, for plots.

    heaviside is 1 where its argument is zero or more, else 0 (Columbia, Optimization II,
    'Well-known activation functions').

    Raises:
        RequestError: the activation is unknown, or is not a function of one number.
    """
    import keras  # not at the top: settings are checked without a backend

    if check_name("activation", name, ACTIVATIONS) == "heaviside":
        return lambda x: keras.ops.cast(keras.ops.greater_equal(x, 0), "float32")
    layer: Callable[[Any], Any] = activation_layer(name)
    return layer


def _check_pointwise(name: str) -> None:
    if name == MAXOUT:
        others = ", ".join(other for other in ACTIVATIONS if other != MAXOUT)
        raise RequestError(
            f"an activation must be a function of one number to be applied alone, and {name!r} is "
            "the larger of two weighted sums, each with its own weights; "
            f"use one of {others}."
        )
