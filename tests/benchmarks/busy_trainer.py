"""Stub trainer that multiplies matrices or sleeps.

Each epoch reports twenty metrics.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

_SIDE = 200
_MATRIX = np.random.default_rng(0).normal(size=(_SIDE, _SIDE)) / _SIDE
METRICS = 20


class BusyTrainer:
    """Stub trainer whose epochs have a given length.

    Entries of the trial specification:
        curve: the objective, one value per epoch.
        products: number of matrix products per epoch.
        sleep_seconds: seconds of sleep per epoch.
    """

    def __init__(self, threads: int) -> None:
        pass

    def begin(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        self._spec, self._epoch = spec, 0
        return {"parameters": 26}

    def epoch(self) -> dict[str, Any]:
        began = time.perf_counter()
        time.sleep(self._spec.get("sleep_seconds", 0.0))
        multiply(self._spec.get("products", 0))
        self._epoch += 1
        others = {f"metric_{number}": 1 / (self._epoch + number) for number in range(METRICS - 1)}
        return {
            "metrics": {"val_accuracy": self._spec["curve"][self._epoch - 1], **others},
            "seconds": time.perf_counter() - began,
        }

    def finish(self, save_as: str | None) -> dict[str, Any]:
        return {"peak_memory_bytes": 1000, "train_seconds": 2.0, "epoch_seconds": 0.2}

    def drop(self) -> None:
        pass


def multiply(products: int) -> None:
    """Multiply two matrices `products` times on one core."""
    # `einsum` uses one core, whichever BLAS library NumPy has.
    for _ in range(products):
        np.einsum("ij,jk->ik", _MATRIX, _MATRIX)
