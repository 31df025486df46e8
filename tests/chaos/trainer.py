"""Stub trainer that takes milliseconds and logs to a file."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

LOG = "ASSAY_CHAOS_LOG"
EPOCH_SECONDS = "ASSAY_CHAOS_EPOCH_SECONDS"


def preload() -> None:
    """Import nothing."""


def accuracy(seed: int, epoch: int) -> float:
    """Return the validation accuracy of a trial after an epoch.

    Every store must have this value.
    """
    return int(hashlib.sha256(f"{seed}/{epoch}".encode()).hexdigest()[:8], 16) / 2**32


def note(what: str, seed: int) -> None:
    """Append a line to the log, and sync it to the disk."""
    log = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(log, f"{what} {seed} {os.getpid()}\n".encode())
        os.fsync(log)
    finally:
        os.close(log)


class ChaosTrainer:
    """Stub trainer with the replies of the real one.

    It logs the begin and the finish of each trial before it replies.

    Args:
        arguments: arguments of the real trainer, which are ignored.
    """

    def __init__(self, **arguments: Any) -> None:
        note("worker", 0)

    def device(self) -> dict[str, Any]:
        return {"device": "cpu"}

    def check(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        return {"parameters": 26, "metrics": ["loss", "accuracy", "val_loss", "val_accuracy"]}

    def begin(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        self._seed, self._epoch = spec["seed"], 0
        note("begin", self._seed)
        return {"parameters": 26}

    def epoch(self) -> dict[str, Any]:
        seconds = float(os.environ[EPOCH_SECONDS])
        time.sleep(seconds)
        self._epoch += 1
        value = accuracy(self._seed, self._epoch)
        metrics = {
            "loss": 1 - value,
            "accuracy": value,
            "val_loss": 1 - value,
            "val_accuracy": value,
        }
        return {"metrics": metrics, "seconds": seconds}

    def finish(self, save_as: str | None) -> dict[str, Any]:
        note("finish", self._seed)
        return {"peak_memory_bytes": 1000, "train_seconds": 0.01, "epoch_seconds": 0.005}

    def drop(self) -> None:
        pass

    def test(
        self, spec: Mapping[str, Any], opening: Mapping[str, Any], save_as: str
    ) -> dict[str, Any]:
        note("test", spec["seed"])
        time.sleep(float(os.environ[EPOCH_SECONDS]))
        targets = np.arange(100, dtype=np.int32) % 10
        is_right = np.random.default_rng(spec["seed"]).random(100) < 0.9
        predictions = np.where(is_right, targets, -1).astype(np.int32)
        np.savez_compressed(save_as, predictions=predictions, targets=targets)
        return {"metrics": {"test_accuracy": float(is_right.mean()), "test_loss": 0.5}}

    def save(self, spec: Mapping[str, Any], save_as: str) -> dict[str, Any]:
        note("save", spec["seed"])
        time.sleep(float(os.environ[EPOCH_SECONDS]))
        path = Path(save_as)
        partial = path.with_name(f".{path.stem}-{os.getpid()}.keras")  # like the real trainer
        partial.write_text(f"model of seed {spec['seed']}")
        partial.replace(path)
        return {}
