"""A training kept in a file as it stands, so that another process goes on after its last epoch.

The file is NumPy's .npz, read without pickle: arrays are all it can hold. It has every variable of
the model and of its optimizer, what early stopping remembers, and the replies to the epochs so far.
What follows from the seed (the order of batches, learning rates, augmentation) follows again.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.models.data import Array
from assay.models.training.fit import Fit

if TYPE_CHECKING:
    import keras

Reply = Mapping[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A training's file.

    Args:
        path: where it is, or will be.
        identity: what is trained; a file of another training is none of ours.
    """

    path: Path
    identity: str

    def write(self, model: keras.Model, fit: Fit, replies: Sequence[Reply]) -> None:
        """Keep a training, in place of what was kept of it before.

        Raises:
            OSError: the file can't be written; the earlier one is still there.
        """
        best = fit.remembered()
        about = {
            "identity": self.identity,
            "replies": list(replies),
            "stopping": None
            if best is None
            else {"epoch": best.epoch, "metrics": dict(best.metrics)},
        }
        arrays: dict[str, Any] = {
            **{
                f"state_{number}": np.asarray(variable)
                for number, variable in enumerate(state_of(model))
            },
            **{
                f"best_{number}": weights
                for number, weights in enumerate(best.weights if best is not None else ())
            },
        }
        unfinished = self.path.with_suffix(".partial")  # one process alone trains it
        try:
            with unfinished.open("wb") as file:
                np.savez(file, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.path)
        finally:
            unfinished.unlink(missing_ok=True)

    def go_on(self, model: keras.Model, fit: Fit) -> list[dict[str, Any]]:
        """Put a training into the state that was kept of it; return the replies to its epochs so
        far.

        A file that is not there, damaged, or of another training changes nothing and gives no
        replies.
        """
        try:
            with np.load(self.path, allow_pickle=False) as kept:
                arrays = {name: kept[name] for name in kept.files}  # each is checked as it is read
            about = json.loads(arrays.pop("about").tobytes())
        # A RuntimeError is zipfile's too: of a flag that a flipped bit has set.
        except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile):
            return []
        model.optimizer.build(model.trainable_variables)
        variables = list(state_of(model))
        state = _numbered(arrays, "state")
        if about["identity"] != self.identity or [one.shape for one in state] != [
            one.shape for one in variables
        ]:
            return []
        for variable, value in zip(variables, state, strict=True):
            variable.assign(value)
        fit.go_on_after(len(about["replies"]), about["stopping"], _numbered(arrays, "best"))
        return list(about["replies"])


def _numbered(arrays: Mapping[str, Array], name: str) -> list[Array]:
    return [
        arrays[f"{name}_{number}"]
        for number in range(sum(key.startswith(f"{name}_") for key in arrays))
    ]


def state_of(model: keras.Model) -> Iterator[keras.Variable]:
    """Yield every variable that a training starts from: weights, seeds, and what the optimizer
    keeps.
    """
    return chain(model.variables, model.optimizer.variables)
