"""Downloads by `keras.datasets`; imported only in the process that prepares data."""

from __future__ import annotations

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
from assay.models.errors import RequestError
from assay.models.files import replace_file
from assay.search.system.files import FileLock

PROBE_SECONDS = 8.0
"""Time limit for the first answer of a server. Without it, a dead name server takes minutes."""

STALL_SECONDS = 30.0
"""Time limit for each read of a download."""


def download_data_set(name: str, url: str, keras_cache: Path, archive: Path) -> None:
    """Download a data set and keep it as an .npz file.

    Args:
        name: the data set's name; its module in `keras.datasets` has underscores for the hyphens.
        url: the first file that `keras.datasets` downloads.
        keras_cache: where Keras keeps that file.
        archive: <data dir>/<name>.npz. If another process writes it first, its file is kept.

    Raises:
        RequestError: the download failed, or the file cannot be written. The message says which
            file to put where.
    """
    remedy = (
        f"put a file with the arrays {', '.join(ARRAY_NAMES)} at {archive}, "
        "or set its folder with --data-dir"
    )
    if not keras_cache.exists() and not _server_answers(url):
        raise RequestError(
            f"{name} must be downloaded once, but {url} does not answer: go online, or {remedy}."
        )
    with _locked_folder(archive.parent, remedy):
        if not archive.exists():
            _write_archive(_load_by_keras(name, remedy), archive, remedy)


@contextmanager
def _locked_folder(folder: Path, remedy: str) -> Iterator[None]:
    """Hold the lock of the data folder, so that one process downloads at a time."""
    lock = FileLock(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise RequestError(f"the data folder must be writable; received {folder}: {remedy}.")
        lock.acquire()
    except OSError as error:
        raise RequestError(
            f"the data folder must be a folder; received {folder} ({error.strerror}): {remedy}."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _server_answers(url: str) -> bool:
    """Return whether a server answers, through the configured proxy; needs no Keras."""
    answers = []

    def send_request() -> None:
        try:
            urllib.request.urlopen(
                urllib.request.Request(url, method="HEAD"), timeout=PROBE_SECONDS
            ).close()
            answers.append(True)
        except urllib.error.HTTPError:
            answers.append(True)  # the server is up: Keras' own error will say what is wrong
        except OSError:
            pass

    # A name lookup ignores `timeout`, so the request runs in a thread that can be left behind.
    request = threading.Thread(target=send_request, daemon=True)
    request.start()
    request.join(PROBE_SECONDS)
    return bool(answers)


def _load_by_keras(name: str, remedy: str) -> SourceArrays:
    os.environ["KERAS_BACKEND"] = _fastest_backend()
    socket.setdefaulttimeout(STALL_SECONDS)
    import keras

    keras.utils.disable_interactive_logging()
    keras.config.set_image_data_format("channels_last")  # the user's keras.json may differ
    module = importlib.import_module(f"keras.datasets.{name.replace('-', '_')}")
    try:
        (x_train, y_train), (x_test, y_test) = module.load_data()
    except Exception as error:  # Keras raises a bare Exception, or ValueError for a wrong checksum
        raise RequestError(
            f"{name} could not be downloaded ({_one_line(error)}): try again, or {remedy}."
        ) from None
    return SourceArrays(
        x_train=x_train, y_train=y_train.reshape(-1), x_test=x_test, y_test=y_test.reshape(-1)
    )


def _fastest_backend() -> str:
    """Return the installed backend that Keras imports fastest."""
    # Keras' NumPy backend imports fastest, but needs JAX to be installed.
    if find_spec("jax") is not None:
        return "numpy"
    return "tensorflow" if find_spec("tensorflow") is not None else "torch"


def _write_archive(arrays: SourceArrays, archive: Path, remedy: str) -> None:
    # With the default data folder, Keras' own cache, Keras has just written the file itself.
    if archive.exists():
        return
    partial = archive.with_name(f".{archive.name}.partial")
    try:
        with replace_file(partial) as stream:
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
