"""Fetching a known data set once, by `keras.datasets`, and keeping it as <data dir>/<name>.npz.

Runs in the child only: it imports Keras.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from assay.experiments.data.arrays import ARRAY_NAMES, SourceArrays
from assay.experiments.data.known import KnownSet
from assay.experiments.data.source import default_data_dir
from assay.models.errors import RequestError

PROBE_SECONDS = 8.0
"""How long to wait for a first answer; a name server that does not answer would take minutes."""

STALL_SECONDS = 30.0
"""How long a download may stand still before it is given up."""


def fetch(name: str, known: KnownSet, archive: Path) -> None:
    """Put a known data set at `archive`, unless another process does so first.

    Args:
        name: of the data set, as in `KNOWN`.
        known: where it is.
        archive: <data dir>/<name>.npz.

    Raises:
        RequestError: it cannot be fetched or kept; the message says which file to put where.
    """
    remedy = f"put a file with the arrays {', '.join(ARRAY_NAMES)} at {archive}, or name its folder with --data-dir"
    if not (default_data_dir() / known.cached).exists() and not _answers(known.url):
        raise RequestError(
            f"{name} must be fetched once, and {known.url} does not answer: go online, or {remedy}."
        )
    with _turn(archive.parent, remedy):
        if not archive.exists():
            _keep(_load_by_keras(name, remedy), archive, remedy)


@contextmanager
def _turn(folder: Path, remedy: str) -> Iterator[None]:
    """Hold the folder's own lock, so that no two processes fetch into it at once."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise RequestError(
            f"{folder} must be a folder to keep data in ({error.strerror}): {remedy}."
        ) from None
    if not os.access(folder, os.W_OK):
        os.close(handle)
        raise RequestError(f"{folder} must be writable to keep data in it: {remedy}.")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _answers(url: str) -> bool:
    """Whether anybody answers there, through whatever proxy is configured; asked before Keras's
    seconds of import.
    """
    answers = []

    def ask() -> None:
        try:
            urllib.request.urlopen(
                urllib.request.Request(url, method="HEAD"), timeout=PROBE_SECONDS
            ).close()
            answers.append(True)
        except urllib.error.HTTPError:
            answers.append(True)  # somebody is there: let Keras say what is wrong
        except OSError:
            pass

    asking = threading.Thread(
        target=ask, daemon=True
    )  # a look-up of a name takes no time limit of its own
    asking.start()
    asking.join(PROBE_SECONDS)
    return bool(answers)


def _load_by_keras(name: str, remedy: str) -> SourceArrays:
    os.environ["KERAS_BACKEND"] = _cheapest_backend()
    socket.setdefaulttimeout(STALL_SECONDS)
    import keras

    keras.utils.disable_interactive_logging()
    keras.config.set_image_data_format("channels_last")  # the user's keras.json may say otherwise
    module = importlib.import_module(f"keras.datasets.{name.replace('-', '_')}")
    try:
        (x_train, y_train), (x_test, y_test) = module.load_data()
    except Exception as error:  # Keras raises bare Exception when a download fails, ValueError for a wrong checksum
        raise RequestError(
            f"{name} could not be fetched ({_one_line(error)}): try again, or {remedy}."
        ) from None
    return SourceArrays(
        x_train=x_train, y_train=y_train.reshape(-1), x_test=x_test, y_test=y_test.reshape(-1)
    )


def _cheapest_backend() -> str:
    """Return a backend that is installed; Keras's NumPy one is the quickest to import, but needs
    JAX to be there.
    """
    if find_spec("jax") is not None:
        return "numpy"
    return "tensorflow" if find_spec("tensorflow") is not None else "torch"


def _keep(arrays: SourceArrays, archive: Path, remedy: str) -> None:
    if archive.exists():
        return  # the data dir is Keras's own cache, and Keras has just put it there
    partial = archive.with_name(f".{archive.name}.partial")
    try:
        with partial.open("wb") as stream:
            np.savez_compressed(
                stream,
                x_train=arrays.x_train,
                y_train=arrays.y_train,
                x_test=arrays.x_test,
                y_test=arrays.y_test,
            )
        partial.replace(archive)
    except OSError as error:
        raise RequestError(
            f"{archive} could not be written ({error.strerror}): {remedy}."
        ) from None
    finally:
        partial.unlink(missing_ok=True)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
