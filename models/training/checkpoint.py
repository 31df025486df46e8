"""Checkpoints: a training in a file, to be continued.

The file is NumPy's .npz and is read without pickle, so it can hold arrays only. It holds every
variable of model and optimizer, the best epoch of early stopping, and the replies to the epochs so
far. Batch order, learning rates and augmentation are derived from the seed again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, Field

from assay.models.data import Array
from assay.models.files import open_regular, replace_file
from assay.models.training.fit import Fit

if TYPE_CHECKING:
    import keras

Reply = Mapping[str, Any]

_MOST_ABOUT_BYTES = 64 << 20  # of the replies, and of the archive's own entries


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint file of a training.

    Args:
        path: path of the file, whether it exists or not.
        identity: digest of what is trained; a file of another training is ignored.
    """

    path: Path
    identity: str

    def write(self, model: keras.Model, fit: Fit, replies: Sequence[Reply]) -> None:
        """Save a training, replacing its earlier checkpoint.

        Raises:
            OSError: the file cannot be written; the earlier checkpoint is unchanged.
        """
        best = fit.best_epoch()
        stopping = None if best is None else {"epoch": best.epoch, "metrics": dict(best.metrics)}
        arrays: dict[str, Any] = {
            **_number_arrays("state", map(np.asarray, training_variables(model))),
            **_number_arrays("best", () if best is None else best.weights),
        }
        about = {"identity": self.identity, "replies": list(replies), "stopping": stopping}
        about["digest"] = _digest(about, arrays)
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        # Only one process trains the trial, so the name needs nothing that is unique.
        unfinished = self.path.with_suffix(".partial")
        try:
            with replace_file(unfinished) as file:
                np.savez(file, **arrays)
                # On disk before the rename, so that a crash leaves one complete file.
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.path)
        finally:
            unfinished.unlink(missing_ok=True)

    def restore(self, model: keras.Model, fit: Fit) -> list[dict[str, Any]]:
        """Load the checkpoint into a new training.

        Returns:
            The replies to the epochs so far. Empty, with nothing changed, if the file is missing,
            damaged, or of another training.
        """
        if not os.path.lexists(self.path):
            return []
        model.optimizer.build(model.trainable_variables)
        variables = list(training_variables(model))
        # No number has more than 8 bytes; the best weights come on top of the last ones.
        most_numbers = 2 * sum(math.prod(variable.shape) for variable in variables)
        try:
            arrays = _read_arrays(self.path, most_bytes=8 * most_numbers + _MOST_ABOUT_BYTES)
            about = _read_about(arrays.pop("about"), arrays)
            state, best = _collect_arrays("state", arrays), _collect_arrays("best", arrays)
        # zipfile raises RuntimeError if a damaged bit says that the file is encrypted.
        except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile):
            return []
        if about.identity != self.identity or not _have_shapes_of(state, variables):
            return []
        if about.stopping is not None and not _have_shapes_of(best, model.weights):
            return []
        for variable, array in zip(variables, state, strict=True):
            variable.assign(array)
        stopping = None if about.stopping is None else about.stopping.model_dump()
        fit.resume(len(about.replies), stopping, best)
        return [dict(reply) for reply in about.replies]


class _Stopping(BaseModel):
    epoch: int = Field(ge=1)
    metrics: dict[str, float]


class _About(BaseModel):
    """What a checkpoint says of itself."""

    identity: str
    replies: list[dict[str, Any]] = Field(min_length=1)
    stopping: _Stopping | None
    digest: str | None = None  # those of earlier releases have none


def _read_about(content: Array, arrays: Mapping[str, Array]) -> _About:
    """Return what a checkpoint says of itself.

    Raises:
        ValueError: it is damaged, or the arrays are not those that it was written with.
    """
    about = _About.model_validate_json(content.tobytes())
    if about.digest is not None:
        said = json.loads(content.tobytes())
        del said["digest"]
        if about.digest != _digest(said, arrays):
            raise ValueError("the digest is of other content")
    return about


def _digest(about: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    """Hash what a checkpoint says of itself, and its arrays."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _read_arrays(path: Path, most_bytes: int) -> dict[str, Array]:
    """Read the arrays of a file, unless it is larger than any checkpoint of this training.

    Raises:
        ValueError: it is too large, or damaged.
    """
    with open_regular(path, "rb") as opened, zipfile.ZipFile(opened) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > most_bytes:
            raise ValueError("the file is too large")
        opened.seek(0)
        with np.load(opened, allow_pickle=False) as file:
            # Reading an array verifies its checksum.
            return {name: file[name] for name in file.files}


def _have_shapes_of(arrays: Sequence[Array], variables: Sequence[keras.Variable]) -> bool:
    """Return whether arrays are numbers of the shapes of variables."""
    return len(arrays) == len(variables) and all(
        array.shape == tuple(variable.shape) and array.dtype.kind in "biuf"
        for array, variable in zip(arrays, variables, strict=True)
    )


def training_variables(model: keras.Model) -> Iterator[keras.Variable]:
    """Yield the variables of a training: weights, seeds, optimizer."""
    return chain(model.variables, model.optimizer.variables)


def _number_arrays(prefix: str, arrays: Iterable[Array]) -> dict[str, Array]:
    return {f"{prefix}_{number}": array for number, array in enumerate(arrays)}


def _collect_arrays(prefix: str, arrays: Mapping[str, Array]) -> list[Array]:
    count = sum(name.startswith(f"{prefix}_") for name in arrays)
    return [arrays[f"{prefix}_{number}"] for number in range(count)]
