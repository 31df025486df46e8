"""The list of configurations that every side trains, in the same order."""

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
"""Of the list on TensorFlow, where what is compiled serves any batch size and rate: pairs of width and activation."""


class Configuration(TypedDict):
    """One trial's hyperparameters, by the names that Assay has for them."""

    hidden_units: int
    batch_size: int
    activation: str
    learning_rate: float


def configurations(quick: bool = False) -> list[Configuration]:
    """Return every pair of width and batch size in two variants; with `quick` only those that take a second.

    Activations and rates take turns, so that no two trials have the same width, batch size and
    activation.
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
