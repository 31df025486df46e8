"""Networks with one hidden layer in NumPy, many seeds at once, for what Keras does not show.

That is a hidden layer of step units, which gradient descent cannot train, and the weights after
chosen epochs, from which pictures are made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Unit:
    """An activation of hidden units.

    Attributes:
        function: the activation, elementwise.
        derivative: its derivative, elementwise; where it has none, the one from the right.
    """

    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]


def sigmoid(z: Array) -> Array:
    """Return 1 / (1 + exp(-z)), without overflow."""
    small = np.exp(-np.abs(z))
    value: Array = np.where(z >= 0, 1.0, small) / (1 + small)
    return value


def _sigmoid_derivative(z: Array) -> Array:
    value = sigmoid(z)
    return value * (1 - value)


LEAK = 0.1
"""Slope of leaky ReLU below zero, as in `assay.models.architectures.activations`."""

UNITS: Mapping[str, Unit] = {
    "step": Unit(lambda z: np.where(z >= 0, 1.0, 0.0), lambda z: np.zeros_like(z)),
    "sigmoid": Unit(sigmoid, _sigmoid_derivative),
    "centred sigmoid": Unit(lambda z: sigmoid(z) - 0.5, _sigmoid_derivative),
    "tanh": Unit(np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "ReLU": Unit(lambda z: np.maximum(0.0, z), lambda z: np.where(z >= 0, 1.0, 0.0)),
    "leaky ReLU": Unit(
        lambda z: np.where(z >= 0, z, LEAK * z), lambda z: np.where(z >= 0, 1.0, LEAK)
    ),
    "ELU": Unit(
        lambda z: np.where(z >= 0, z, np.expm1(np.minimum(z, 0.0))),
        lambda z: np.where(z >= 0, 1.0, np.exp(np.minimum(z, 0.0))),
    ),
    "identity": Unit(lambda z: z, lambda z: np.ones_like(z)),
}
"""Activations by name."""


@dataclass(frozen=True)
class TwoLayers:
    """Networks with one hidden layer and one output, side by side: one for each seed.

    Attributes:
        kernel: weights of the hidden layer (seeds, inputs, units).
        bias: its biases (seeds, 1, units).
        output_kernel: weights of the output (seeds, units, 1).
        output_bias: its bias (seeds, 1, 1).
        unit: name of the activation, one of `UNITS`.
    """

    kernel: Array
    bias: Array
    output_kernel: Array
    output_bias: Array
    unit: str

    @classmethod
    def draw(
        cls, unit: str, inputs: int, units: int, seeds: int, random: np.random.Generator
    ) -> TwoLayers:
        """Draw weights and biases as PyTorch's Linear does: uniform up to 1 / sqrt(fan-in)."""

        def uniform(fan_in: int, *shape: int) -> Array:
            limit = 1 / np.sqrt(fan_in)
            return random.uniform(-limit, limit, (seeds, *shape))

        return cls(
            uniform(inputs, inputs, units),
            uniform(inputs, 1, units),
            uniform(units, units, 1),
            uniform(units, 1, 1),
            unit,
        )

    @property
    def arrays(self) -> tuple[Array, Array, Array, Array]:
        """The weights and biases, the hidden layer's first."""
        return self.kernel, self.bias, self.output_kernel, self.output_bias

    def with_arrays(self, arrays: Sequence[Array]) -> TwoLayers:
        """Return networks of the same units with these weights and biases."""
        kernel, bias, output_kernel, output_bias = arrays
        return TwoLayers(kernel, bias, output_kernel, output_bias, self.unit)

    def compute_hidden(self, x: Array) -> Array:
        """Return the hidden outputs (seeds, examples, units) for inputs x (examples, inputs)."""
        return UNITS[self.unit].function(x @ self.kernel + self.bias)

    def compute_logits(self, x: Array) -> Array:
        """Return the output before its sigmoid (seeds, examples)."""
        return (self.compute_hidden(x) @ self.output_kernel + self.output_bias)[..., 0]

    def compute_loss(self, x: Array, y: Array) -> Array:
        """Return the mean binary cross-entropy of each network (seeds,) for labels 0 and 1."""
        logits = self.compute_logits(x)
        loss: Array = (np.logaddexp(0, logits) - y * logits).mean(axis=1)
        return loss

    def measure_accuracy(self, x: Array, y: Array) -> Array:
        """Return the accuracy of each network (seeds,)."""
        accuracy: Array = ((self.compute_logits(x) > 0) == (y > 0.5)).mean(axis=1)
        return accuracy

    def compute_gradients(self, x: Array, y: Array) -> tuple[Array, Array, Array, Array]:
        """Return the gradients of `compute_loss`, in the order of `arrays`, by backpropagation."""
        sums = x @ self.kernel + self.bias
        hidden = UNITS[self.unit].function(sums)
        logits = hidden @ self.output_kernel + self.output_bias
        # Of binary cross-entropy by the logit (OSU ECE 5307 unit 8): sigmoid(z) - y.
        at_output = (sigmoid(logits) - y[np.newaxis, :, np.newaxis]) / len(y)
        at_sums = (at_output @ self.output_kernel.swapaxes(1, 2)) * (
            UNITS[self.unit].derivative(sums)
        )
        return (
            x.T @ at_sums,
            at_sums.sum(axis=1, keepdims=True),
            hidden.swapaxes(1, 2) @ at_output,
            at_output.sum(axis=1, keepdims=True),
        )


@dataclass(frozen=True)
class Trained:
    """How networks were trained.

    Attributes:
        networks: the networks after each of the chosen epochs, by the number of the epoch; 0 is
            before training.
        loss: loss on the training examples after each epoch (seeds, epochs).
        accuracy: accuracy on the training examples, likewise.
    """

    networks: Mapping[int, TwoLayers]
    loss: Array
    accuracy: Array

    @property
    def last(self) -> TwoLayers:
        """The networks after the last epoch that was kept."""
        return self.networks[max(self.networks)]


def train_by_adam(
    networks: TwoLayers,
    x: Array,
    y: Array,
    *,
    epochs: int,
    random: np.random.Generator,
    learning_rate: float = 0.01,
    batch_size: int = 100,
    keep: Sequence[int] = (),
) -> Trained:
    """Train networks by Adam on mini-batches that are reshuffled every epoch.

    The defaults are those of OSU ECE 5307 unit 8, 'Implementing and Training Neural Nets with
    PyTorch'; Adam's constants are 0.9, 0.999 and 1e-8 (Kingma and Ba, 2015). All networks see the
    same batches.

    Args:
        networks: the networks at the start.
        x: inputs (examples, inputs).
        y: labels 0 and 1 (examples,).
        epochs: number of epochs.
        random: shuffles the examples.
        learning_rate: Adam's.
        batch_size: examples of a step; the last batch of an epoch may be smaller.
        keep: the epochs after which the networks are kept, 0 and the last one in any case.
    """
    arrays = [array.copy() for array in networks.arrays]
    means = [np.zeros_like(array) for array in arrays]
    squares = [np.zeros_like(array) for array in arrays]
    kept, losses, accuracies, step = {0: networks}, [], [], 0
    for epoch in range(1, epochs + 1):
        order = random.permutation(len(x))
        for start in range(0, len(x), batch_size):
            batch, step = order[start : start + batch_size], step + 1
            gradients = networks.with_arrays(arrays).compute_gradients(x[batch], y[batch])
            for place, gradient in enumerate(gradients):
                means[place] = 0.9 * means[place] + 0.1 * gradient
                squares[place] = 0.999 * squares[place] + 0.001 * gradient**2
                mean, square = means[place] / (1 - 0.9**step), squares[place] / (1 - 0.999**step)
                arrays[place] = arrays[place] - learning_rate * mean / (np.sqrt(square) + 1e-8)
        now = networks.with_arrays(arrays)
        losses.append(now.compute_loss(x, y))
        accuracies.append(now.measure_accuracy(x, y))
        if epoch in keep or epoch == epochs:
            kept[epoch] = now
    return Trained(kept, np.array(losses).T, np.array(accuracies).T)


def pick_seed(networks: TwoLayers, seed: int) -> TwoLayers:
    """Return one of several networks, its first axis kept."""
    chosen = {
        field.name: getattr(networks, field.name)[seed : seed + 1]
        for field in dataclasses.fields(networks)
        if field.name != "unit"
    }
    return dataclasses.replace(networks, **chosen)
