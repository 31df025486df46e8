"""Initializers by name: where the weights start from. Biases start from zero."""

from __future__ import annotations

from models.names import check_name

INITIALIZERS = (
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "zeros",
)
"""Keras' own names, and Keras' own defaults for their spreads."""


def check_initializer(name: str) -> str:
    """Return `name` if it is an initializer.

    Raises:
        RequestError: it is not.
    """
    return check_name("initializer", name, INITIALIZERS)
