"""Activations by name: what a unit does with its weighted sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from assay.models.errors import RequestError
from assay.models.names import check_name

if TYPE_CHECKING:
    import keras

# What Keras calls each of them; the two it has under no name of its own are made in `layer` and
# `function`.
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

MAXOUT = "maxout"
"""The larger of two weighted sums, max(w1 x + b1, w2 x + b2) (Columbia, Optimization II, 'Maxout';
Goodfellow et al.,
'Maxout networks', 2013, with k = 2): a kind of layer rather than a function, made in
`layers.py`."""

TRAINABLE_ACTIVATIONS = (*_KERAS_NAMES, "leaky_relu", MAXOUT)
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


def pieces(name: str) -> int:
    """Return how many weighted sums a unit with this activation has."""
    return 2 if name == MAXOUT else 1


def layer(name: str) -> keras.layers.Layer:
    """Return a Keras layer that applies a trainable activation; saved models need none of our code
    to load it.

    Raises:
        RequestError: the activation is unknown, can't be trained, or is no function of one number.
    """
    import keras  # not at the top: settings are checked without a backend

    _check_pointwise(check_trainable(name))
    if name == "leaky_relu":
        return keras.layers.LeakyReLU(negative_slope=LEAKY_RELU_SLOPE)
    return keras.layers.Activation(_KERAS_NAMES[name])


def function(name: str) -> Callable[[Any], Any]:
    """Return any activation but maxout, heaviside too, as a function of a tensor of any shape, to
    look at.

    heaviside is 1 where its argument is zero or more, else 0 (Columbia, Optimization II,
    'Well-known activation functions').

    Raises:
        RequestError: the activation is unknown, or is no function of one number.
    """
    import keras  # not at the top: settings are checked without a backend

    if check_name("activation", name, ACTIVATIONS) == "heaviside":
        return lambda x: keras.ops.cast(keras.ops.greater_equal(x, 0), "float32")
    made: Callable[[Any], Any] = layer(name)
    return made


def _check_pointwise(name: str) -> None:
    if name == MAXOUT:
        others = ", ".join(other for other in ACTIVATIONS if other != MAXOUT)
        raise RequestError(
            f"an activation must be a function of one number to be looked at, and {name!r} is the larger of two "
            f"weighted sums, each with weights of its own; use one of {others}."
        )
