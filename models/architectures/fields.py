"""Fields that several families share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from assay.models.architectures.activations import check_trainable
from assay.models.names import check_name

# Initializers by name: where the weights start from. Biases start from zero.


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


Activation = Annotated[
    str,
    AfterValidator(check_trainable),
    Field(
        description="What hidden units do with their weighted sum: relu, sigmoid, tanh, maxout, ..."
    ),
]
Initializer = Annotated[
    str,
    AfterValidator(check_initializer),
    Field(description="Where the weights start from, by Keras' name."),
]
Dropout = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="The share of dense hidden units that each training step leaves out.",
    ),
]
BatchNorm = Annotated[
    bool,
    Field(
        description="Whether each hidden layer's weighted sums are normalised over the batch before the activation; "
        "the layer then has no bias, since the normalisation has one."
    ),
]
L1 = Annotated[
    float,
    Field(
        ge=0,
        allow_inf_nan=False,
        description="What the sizes of all weights, biases apart, are multiplied by and added to the loss.",
    ),
]
L2 = Annotated[
    float,
    Field(
        ge=0,
        allow_inf_nan=False,
        description="What all squared weights, biases apart, are multiplied by and added to the loss.",
    ),
]
