"""List of configurations that every side trains in order."""

from __future__ import annotations

from itertools import product
from typing import TypedDict

HIDDEN_UNITS = (32, 128, 512)
BATCH_SIZES = (32, 128, 512)
ACTIVATIONS = ("relu", "tanh", "sigmoid")
LEARNING_RATES = (1e-3, 3e-3)
VARIANTS = 2
EPOCHS = 3
SIGNATURES = 9
"""Number of compile keys of the list on TensorFlow.

There a key is a pair of width and activation: compiled code serves any batch size and learning
rate.
"""


class Configuration(TypedDict):
    """Hyperparameters of one trial, under Assay's names."""

    hidden_units: int
    batch_size: int
    activation: str
    learning_rate: float


def configurations(quick: bool = False) -> list[Configuration]:
    """Return the configurations in the order of training.

    Each pair of width and batch size has two variants. Activations and learning rates alternate,
    so that no two trials have the same width, batch size and activation.

    Args:
        quick: whether to return only the fast ones, with large batches and narrow layers.
    """
    pairs = [pair for pair in product(HIDDEN_UNITS, BATCH_SIZES) for _ in range(VARIANTS)]
    listed = [
        Configuration(
            hidden_units=hidden_units,
            batch_size=batch_size,
            activation=ACTIVATIONS[number % len(ACTIVATIONS)],
            learning_rate=LEARNING_RATES[number // len(ACTIVATIONS) % len(LEARNING_RATES)],
        )
        for number, (hidden_units, batch_size) in enumerate(pairs)
    ]
    return [
        one
        for one in listed
        if not quick or (one["batch_size"] == 512 and one["hidden_units"] <= 128)
    ]
