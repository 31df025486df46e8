"""Fields that several families have in their settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from assay.models.architectures.activations import check_trainable
from assay.models.names import check_name

MOST_UNITS = 1_000_000
"""Largest number of units or channels of a layer; a larger one is a typing error."""

MOST_LAYERS = 100
"""Largest number of hidden layers of a multi-layer perceptron. Keras visits the layers of a model
recursively, two of Python's 1,000 frames for each, and a hidden layer may be four of Keras'.
"""

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
"""Initializers of weights, by Keras' names and with Keras' defaults. Biases start at zero."""


def check_initializer(name: str) -> str:
    """Return `name` if it is an initializer.

    Raises:
        RequestError: the name is unknown.
    """
    return check_name("initializer", name, INITIALIZERS)


Activation = Annotated[
    str,
    AfterValidator(check_trainable),
    Field(description="Activation of the hidden units: relu, sigmoid, tanh, maxout, ..."),
]
Initializer = Annotated[
    str,
    AfterValidator(check_initializer),
    Field(description="Initializer of the weights, by Keras' name."),
]
Dropout = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="Dropout rate: the share of dense hidden units that each training step drops.",
    ),
]
BatchNorm = Annotated[
    bool,
    Field(
        description="Whether the weighted sums of each hidden layer are normalised over the batch "
        "before the activation; the layer then has no bias, because the normalisation has one."
    ),
]
L1 = Annotated[
    float,
    Field(
        ge=0,
        allow_inf_nan=False,
        description="Factor of the L1 regularizer of all weights except biases.",
    ),
]
L2 = Annotated[
    float,
    Field(
        ge=0,
        allow_inf_nan=False,
        description="Factor of the L2 regularizer of all weights except biases.",
    ),
]
