"""What the probit model assumes, measured on real networks.

Small perceptrons of scikit-learn are trained on half of its digits, ten seeds each, and tested on
the other half; with `mnist.npz` in ASSAY_DATA_DIR also on 15,000 images of MNIST, six seeds each.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

CONFIGURATIONS: Mapping[str, Mapping[str, Any]] = {
    "100 relu": {"hidden_layer_sizes": (100,)},
    "64 tanh": {"hidden_layer_sizes": (64,), "activation": "tanh"},
    "100 relu, momentum": {
        "hidden_layer_sizes": (100,),
        "solver": "sgd",
        "learning_rate_init": 0.1,
    },
}
_MNIST_TRAINING_IMAGES = 15_000

Split = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def rows(quick: bool) -> Iterator[str]:
    """Yield a line per configuration and per pair of them; nothing has a bound."""
    images, labels = load_digits(return_X_y=True)
    digits = train_test_split(images / 16, labels, test_size=0.5, stratify=labels, random_state=0)
    yield from _measure("digits", digits, seeds=3 if quick else 10, epochs=25, batch=32)
    mnist = Path(os.environ.get("ASSAY_DATA_DIR", "")) / "mnist.npz"
    if mnist.is_file() and not quick:
        with np.load(mnist) as arrays:
            yield from _measure("mnist", _mnist_split(arrays), seeds=6, epochs=8, batch=128)


def _mnist_split(arrays: Mapping[str, NDArray[Any]]) -> Split:
    training = slice(_MNIST_TRAINING_IMAGES)
    flat = {
        name: arrays[name].reshape(len(arrays[name]), -1) / 255 for name in ("x_train", "x_test")
    }
    return flat["x_train"][training], flat["x_test"], arrays["y_train"][training], arrays["y_test"]


def _measure(name: str, split: Split, seeds: int, epochs: int, batch: int) -> Iterator[str]:
    right = {
        label: np.array([_train(split, settings, seed, epochs, batch) for seed in range(seeds)])
        for label, settings in CONFIGURATIONS.items()
    }
    for label, each in right.items():
        phi = np.corrcoef(each)[np.triu_indices(seeds, 1)].mean()
        yield (
            f"{name}, {label}: accuracy {each.mean():.4f}, seed sd {100 * _seed_sd(each):.2f} "
            f"points, phi within {phi:.2f}"
        )
    labels = list(right)
    for position, label in enumerate(labels):
        for other in labels[:position]:
            phi = np.corrcoef(right[label], right[other])[:seeds, seeds:].mean()
            yield f"{name}, {label} and {other}: phi across {phi:.2f}"


def _train(
    split: Split, settings: Mapping[str, Any], seed: int, epochs: int, batch: int
) -> NDArray[Any]:
    """Return which test examples a network is right on, as 1 and 0."""
    x_train, x_test, y_train, y_test = split
    network = MLPClassifier(max_iter=epochs, batch_size=batch, random_state=seed, **settings)
    with warnings.catch_warnings():
        # All networks stop after the same number of epochs.
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(x_train, y_train)
    return (network.predict(x_test) == y_test).astype(float)


def _seed_sd(right: NDArray[Any]) -> float:
    """Return the standard deviation over seeds of the accuracy on infinitely many examples.

    The accuracies on the test set scatter more: each network is right on other examples by chance.
    """
    examples = right.shape[1]
    total = right.mean(axis=1).var(ddof=1)
    noise = right.var(axis=0, ddof=1).mean() - total
    return float(np.sqrt(max(total - noise / examples, 0.0)))
