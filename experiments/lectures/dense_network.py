"""Dense networks in NumPy: initial weights, and backpropagation with all that it computes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Layer: TypeAlias = tuple[Array, Array]
"""Kernel (inputs, units) and bias (units,)."""


@dataclass(frozen=True)
class Activation:
    """An activation of hidden units.

    Attributes:
        compute: the activation of weighted sums.
        differentiate: its derivative at weighted sums.
    """

    compute: Callable[[Array], Array]
    differentiate: Callable[[Array], Array]


@dataclass(frozen=True)
class ForwardPass:
    """What a network computes of a batch, layer by layer.

    Attributes:
        inputs: what enters each layer (examples, units); the first one is the batch.
        sums: weighted sums of each layer (examples, units); the last ones are the logits.
    """

    inputs: Sequence[Array]
    sums: Sequence[Array]


@dataclass(frozen=True)
class BackwardPass:
    """Derivatives of the mean cross-entropy of a batch, layer by layer.

    Attributes:
        loss: the mean cross-entropy.
        sums: by the weighted sums of each layer (examples, units).
        gradients: by kernel and bias of each layer.
    """

    loss: float
    sums: Sequence[Array]
    gradients: Sequence[Layer]


def sigmoid(z: Array) -> Array:
    """Return the sigmoid, 1 / (1 + exp(-z)), without overflow."""
    half: Array = 0.5 * (1 + np.tanh(0.5 * z))
    return half


ACTIVATIONS: Mapping[str, Activation] = {
    "identity": Activation(lambda z: z, np.ones_like),
    "sigmoid": Activation(sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "tanh": Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": Activation(lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(np.float64)),
}

VARIANCES: Mapping[str, Callable[[int, int], float]] = {
    "lecun": lambda inputs, units: 1 / inputs,
    "glorot": lambda inputs, units: 2 / (inputs + units),
    "he": lambda inputs, units: 2 / inputs,
}
"""Variance of initial weights by fan-in and fan-out: LeCun et al., 'Efficient BackProp' (1998);
Glorot and Bengio, 'Understanding the difficulty of training deep feedforward neural networks'
(2010); He et al., 'Delving deep into rectifiers' (2015)."""


def initialize(
    sizes: Sequence[int], scheme: str, random: np.random.Generator, gain: float = 1.0
) -> list[Layer]:
    """Return normal initial weights, and biases of 0.

    Args:
        sizes: number of inputs, units of each hidden layer, number of outputs.
        scheme: one of VARIANCES.
        random: where the weights come from.
        gain: by which they are multiplied.
    """
    return [
        (
            random.normal(0, gain * VARIANCES[scheme](inputs, units) ** 0.5, (inputs, units)),
            np.zeros(units),
        )
        for inputs, units in itertools.pairwise(sizes)
    ]


def propagate(layers: Sequence[Layer], activation: str, x: Array) -> ForwardPass:
    """Compute a network's weighted sums.

    Args:
        layers: its layers; the last one has no activation.
        activation: of the hidden units, one of ACTIVATIONS.
        x: a batch (examples, inputs).
    """
    compute = ACTIVATIONS[activation].compute
    inputs, sums = [x], []
    for kernel, bias in layers:
        sums.append(inputs[-1] @ kernel + bias)
        inputs.append(compute(sums[-1]))
    return ForwardPass(inputs[:-1], sums)


def backpropagate(
    layers: Sequence[Layer], activation: str, x: Array, labels: NDArray[np.int64]
) -> BackwardPass:
    """Compute the derivatives of the mean cross-entropy of softmax outputs.

    From the outputs to the inputs, with D the derivatives by the weighted sums of a layer:
    D_i = (D_{i+1} W_{i+1}^T) * g'(Z_i), and those by its kernel are its inputs^T D_i.

    Args:
        layers: the layers; the last one has no activation.
        activation: of the hidden units, one of ACTIVATIONS.
        x: a batch (examples, inputs).
        labels: its classes (examples,).

    Example:
        >>> backward = backpropagate(layers, "sigmoid", x, labels)
        >>> [np.linalg.norm(kernel) for kernel, bias in backward.gradients]
    """
    forward = propagate(layers, activation, x)
    differentiate = ACTIVATIONS[activation].differentiate
    logits = forward.sums[-1] - forward.sums[-1].max(axis=1, keepdims=True)
    logarithms = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    rows = np.arange(len(x))
    delta = np.exp(logarithms)
    delta[rows, labels] -= 1
    delta /= len(x)
    sums = [delta]
    for (kernel, _), z in zip(layers[:0:-1], forward.sums[-2::-1], strict=True):
        delta = (delta @ kernel.T) * differentiate(z)
        sums.insert(0, delta)
    gradients = [
        (inputs.T @ one, one.sum(axis=0)) for inputs, one in zip(forward.inputs, sums, strict=True)
    ]
    return BackwardPass(float(-logarithms[rows, labels].mean()), sums, gradients)
