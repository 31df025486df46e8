"""Functions that the peers share."""

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
"""Images, float32 (n, 28, 28), and labels, int32 (n,)."""

VALIDATION_IMAGES = 10_000


def arguments() -> argparse.Namespace:
    """Return the parsed command line.

    Its attributes are `configurations`, the list; `mnist`, the path of the file; `epochs`; and
    `seed`, for the weights and the order of the images.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("configurations", type=lambda file: json.loads(Path(file).read_text()))
    parser.add_argument("--mnist", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def load(mnist: Path) -> tuple[Pair, Pair]:
    """Return the training and validation data, scaled to [0, 1].

    The split is Assay's: 50,000 images for training and 10,000 for validation.
    """
    # Imported here, because processes that only train do not need it.
    from sklearn.model_selection import train_test_split

    with np.load(mnist) as arrays:
        x, y = arrays["x_train"], arrays["y_train"].astype(np.int32)
    x, x_validation, y, y_validation = train_test_split(
        x, y, test_size=VALIDATION_IMAGES, stratify=y, random_state=0
    )
    return (x.astype(np.float32) / 255, y), (x_validation.astype(np.float32) / 255, y_validation)


def network(hidden_units: int, activation: str, learning_rate: float) -> keras.Model:
    """Return a compiled perceptron with one hidden layer."""
    # Imported here, because Ray's driver does not need it.
    import keras

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
    """Print the result as one line of JSON.

    The search lasts from the start of the first trial to the end of the last one, without imports.
    """
    print(json.dumps({"best": best, "search_seconds": search_seconds, "trials": trials}))
