"""Activations by name: what a unit does with its weighted sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from models.errors import RequestError
from models.names import check_name

if TYPE_CHECKING:
    import keras

# What Keras calls each of them; the two it has under no name of its own are made in `layer` and `function`.
_KERAS_NAMES = {
    "identity": "linear",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "elu": "elu",
    "gelu": "gelu",
}
LEAKY_RELU_SLOPE = 0.1
"""Of leaky_relu below zero; Keras' own default is 0.2."""

TRAINABLE_ACTIVATIONS = (*_KERAS_NAMES, "leaky_relu")
ACTIVATIONS = (*TRAINABLE_ACTIVATIONS, "heaviside")


def check_trainable(name: str) -> str:
    """Return `name` if it is an activation that gradient descent can train through.

    Raises:
        RequestError: it is unknown, or its derivative is zero.
    """
    if check_name("activation", name, ACTIVATIONS) in TRAINABLE_ACTIVATIONS:
        return name
    raise RequestError(
        f"an activation must have a derivative that gradient descent can follow, and that of {name!r} is zero "
        f"wherever it exists; use one of {', '.join(TRAINABLE_ACTIVATIONS)} (sigmoid is its smooth relative)."
    )


def layer(name: str) -> keras.layers.Layer:
    """Return a Keras layer that applies a trainable activation; saved models need none of our code to load it.

    Raises:
        RequestError: the activation is unknown or can't be trained.
    """
    import keras  # not at the top: settings are checked without a backend

    if check_trainable(name) == "leaky_relu":
        return keras.layers.LeakyReLU(negative_slope=LEAKY_RELU_SLOPE)
    return keras.layers.Activation(_KERAS_NAMES[name])


def function(name: str) -> Callable[[Any], Any]:
    """Return any activation, heaviside too, as a function of a tensor of any shape, to look at.

    heaviside is 1 where its argument is zero or more, else 0 (Columbia, Optimization II, 'Well-known activation
    functions').

    Raises:
        RequestError: the activation is unknown.
    """
    import keras  # not at the top: settings are checked without a backend

    if check_name("activation", name, ACTIVATIONS) == "heaviside":
        return lambda x: keras.ops.cast(keras.ops.greater_equal(x, 0), "float32")
    made: Callable[[Any], Any] = layer(name)
    return made
