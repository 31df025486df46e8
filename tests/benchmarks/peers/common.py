"""What the peers share: their arguments, MNIST split as Assay splits it, the network, and their last line."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

Pair: TypeAlias = tuple[NDArray[Any], NDArray[Any]]
"""Images, float32 (n, 28, 28), and their labels, int32 (n,)."""

VALIDATION_IMAGES = 10_000


def arguments() -> argparse.Namespace:
    """Return `configurations`, a list of them, `mnist`, the file, `epochs`, and the `seed` of weights and order."""
    parser = argparse.ArgumentParser()
    parser.add_argument("configurations", type=lambda file: json.loads(Path(file).read_text()))
    parser.add_argument("--mnist", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def load(mnist: Path) -> tuple[Pair, Pair]:
    """Return 50,000 images to train on and 10,000 that validate, the same as Assay's, scaled to [0, 1]."""
    from sklearn.model_selection import train_test_split  # here: what trains need not import it

    with np.load(mnist) as arrays:
        x, y = arrays["x_train"], arrays["y_train"].astype(np.int32)
    x, x_validation, y, y_validation = train_test_split(
        x, y, test_size=VALIDATION_IMAGES, stratify=y, random_state=0
    )
    return (x.astype(np.float32) / 255, y), (x_validation.astype(np.float32) / 255, y_validation)


def network(hidden_units: int, activation: str, learning_rate: float) -> keras.Model:
    """Return a compiled perceptron of one hidden layer."""
    import keras  # here: Ray's driver need not import it

    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(hidden_units, activation=activation),
            keras.layers.Dense(10),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def answer(best: float, search_seconds: float, trials: int) -> None:
    """Print the last line: the search is from the first trial's start to the last trial's end, imports before it."""
    print(json.dumps({"best": best, "search_seconds": search_seconds, "trials": trials}))
