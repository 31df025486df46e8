"""Forward and backward pass of dense networks, written out in NumPy as the lectures derive them.

Layer i computes z_i = a_(i-1) W_i + b_i and a_i = s(z_i), with an example in each row. The backward
pass begins with the derivative of the loss by a_L and goes through the layers from back to front:

    delta_i = dJ/da_i * s'(z_i)          derivative by what is before the activation
    dJ/dW_i = a_(i-1)^T delta_i          an outer product for each example, summed
    dJ/db_i = sum of delta_i over the examples
    dJ/da_(i-1) = delta_i W_i^T          and so on with the layer before

See NYU Tandon CS-UY 4563 lecture 16, 'Backprop linear algebra', and OSU ECE 5307 unit 8, 'Summary
of forward and backward passes'.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assay.models.analysis.gradients import Array, GradientProblem, Loss


class Tally:
    """Counts the multiplications of matrix products.

    Attributes:
        multiplications: number of them so far.
    """

    def __init__(self) -> None:
        """Begin at 0."""
        self.multiplications = 0

    def multiply(self, left: Array, right: Array) -> Array:
        """Return a matrix product (n, k) x (k, m), and count its n k m multiplications."""
        self.multiplications += left.shape[0] * left.shape[1] * right.shape[1]
        return left @ right


def sigmoid(z: Array) -> Array:
    """Return 1 / (1 + e^-z), without overflow for any z."""
    return np.exp(-np.logaddexp(0.0, -z))


def softmax(z: Array) -> Array:
    """Return e^z / sum of e^z of each row, without overflow for any z."""
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


ACTIVATIONS: Mapping[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "linear": (lambda z: z, np.ones_like),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1.0 - sigmoid(z))),
    "tanh": (np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0.0), lambda z: (z > 0.0).astype(np.float64)),
}
"""Each activation s by name, and its derivative s', both of z."""


def compute_loss(loss: Loss, outputs: Array, y: Array) -> float:
    """Return the loss of outputs (examples, outputs): see `gradients.Loss`."""
    match loss:
        case "output":
            return float(outputs.mean())
        case "squared_error":
            return float(((outputs - y) ** 2).mean())
        case "binary_cross_entropy":
            return float((np.logaddexp(0.0, outputs) - y * outputs).mean())
        case "cross_entropy":
            return float((np.logaddexp.reduce(outputs, axis=1) - (y * outputs).sum(axis=1)).mean())


def differentiate_loss(loss: Loss, outputs: Array, y: Array) -> Array:
    """Return the derivative of the loss by each output (examples, outputs)."""
    match loss:
        case "output":
            return np.full_like(outputs, 1.0 / outputs.size)
        case "squared_error":
            return 2.0 * (outputs - y) / outputs.size
        case "binary_cross_entropy":
            return (sigmoid(outputs) - y) / outputs.size
        case "cross_entropy":
            return (softmax(outputs) - y) / len(outputs)


@dataclass(frozen=True)
class ForwardPass:
    """What the forward pass stores.

    Attributes:
        sums: z of each layer (examples, units), before its activation.
        values: the inputs, and a of each layer.
        loss: the loss.
    """

    sums: Sequence[Array]
    values: Sequence[Array]
    loss: float


@dataclass(frozen=True)
class BackwardPass:
    """What the backward pass computes.

    Attributes:
        deltas: derivative of the loss by z of each layer (examples, units), the first layer first.
        gradients: derivative by each weight, in the order of the weights.
    """

    deltas: Sequence[Array]
    gradients: Sequence[Array]


def run_forward(problem: GradientProblem, tally: Tally | None = None) -> ForwardPass:
    """Compute all layers from the inputs to the loss."""
    tally = tally or Tally()
    sums: list[Array] = []
    values = [problem.x]
    for kernel, bias, name in _layers(problem):
        sums.append(tally.multiply(values[-1], kernel) + bias)
        values.append(ACTIVATIONS[name][0](sums[-1]))
    return ForwardPass(sums, values, compute_loss(problem.loss, values[-1], problem.y))


def run_backward(
    problem: GradientProblem, forward: ForwardPass, tally: Tally | None = None
) -> BackwardPass:
    """Compute all derivatives from the loss to the first layer."""
    tally = tally or Tally()
    deltas: list[Array] = []
    gradients: list[Array] = []
    by_value = differentiate_loss(problem.loss, forward.values[-1], problem.y)
    layers = list(_layers(problem))
    for index in reversed(range(len(layers))):
        kernel, _, name = layers[index]
        delta = by_value * ACTIVATIONS[name][1](forward.sums[index])
        deltas.insert(0, delta)
        gradients[:0] = [tally.multiply(forward.values[index].T, delta), delta.sum(axis=0)]
        if index:
            by_value = tally.multiply(delta, kernel.T)
    return BackwardPass(deltas, gradients)


def run_tangent(
    problem: GradientProblem, direction: Sequence[Array], tally: Tally | None = None
) -> float:
    """Return the derivative of the loss in one direction of the weights: forward mode.

    Args:
        problem: the network and its examples.
        direction: by how much each weight changes, in the shapes of the weights.
        tally: counts the multiplications.
    """
    tally = tally or Tally()
    value, tangent = problem.x, np.zeros_like(problem.x)
    changes = zip(direction[::2], direction[1::2], strict=True)
    for (kernel, bias, name), (kernel_change, bias_change) in zip(
        _layers(problem), changes, strict=True
    ):
        total = tally.multiply(value, kernel) + bias
        change = tally.multiply(tangent, kernel) + tally.multiply(value, kernel_change)
        activate, differentiate = ACTIVATIONS[name]
        value, tangent = activate(total), (change + bias_change) * differentiate(total)
    return float((differentiate_loss(problem.loss, value, problem.y) * tangent).sum())


def make_problem(
    sizes: Sequence[int],
    activation: str,
    loss: Loss,
    *,
    examples: int,
    seed: int,
    output_activation: str = "linear",
) -> GradientProblem:
    """Return a network with normal weights and inputs, and targets that suit its loss.

    Args:
        sizes: number of units of each layer, the inputs first.
        activation: of the hidden layers.
        loss: name of the loss.
        examples: number of examples.
        seed: random seed.
        output_activation: of the last layer.
    """
    random = np.random.default_rng(seed)
    weights: list[Array] = []
    for inputs, units in itertools.pairwise(sizes):
        weights.append(random.normal(0.0, 1.0 / np.sqrt(inputs), (inputs, units)))
        weights.append(random.normal(0.0, 0.3, units))
    shape = (examples, sizes[-1])
    match loss:
        case "cross_entropy":
            y = np.eye(sizes[-1])[random.integers(sizes[-1], size=examples)]
        case "binary_cross_entropy":
            y = random.integers(2, size=shape).astype(np.float64)
        case _:
            y = random.standard_normal(shape)
    activations = [*[activation] * (len(sizes) - 2), output_activation]
    return GradientProblem(
        weights, activations, loss, random.standard_normal((examples, sizes[0])), y
    )


def _layers(problem: GradientProblem) -> Sequence[tuple[Array, Array, str]]:
    weights = problem.weights
    return list(zip(weights[::2], weights[1::2], problem.activations, strict=True))
