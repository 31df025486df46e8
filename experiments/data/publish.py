"""Writing a folder so that it is there whole or not at all, whoever else writes it and whenever somebody is killed."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.data.folder import partial_of
from models.errors import RequestError
from search.unwritable import unwritable


@contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to fill, which becomes `folder` at the end and vanishes when anything is raised.

    The caller holds the lock; a folder that is there already is replaced.

    Raises:
        RequestError: home is no folder.
        SearchError: it cannot be written.
    """
    partial = partial_of(folder)
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of somebody who was killed
        with _explained(folder.parent):
            partial.mkdir(parents=True)
            yield partial
            if folder.exists():
                shutil.rmtree(folder)
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def locked(folder: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a folder that is being prepared; it goes with the process that holds it.

    Args:
        folder: that is to be written.
        wait: until nobody else holds it.

    Yields:
        Whether it is held, which without `wait` may be false.

    Raises:
        RequestError: home is no folder.
        SearchError: it cannot be written.
    """
    with _explained(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder.with_name(f".{folder.name}.lock"), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            held = True
        except BlockingIOError:
            held = False
        yield held
    finally:
        os.close(handle)


def sweep(folder: Path) -> None:
    """Remove what a killed process left half-written, unless another one is at work on it."""
    if partial_of(folder).exists():
        with locked(folder, wait=False) as held:
            if held:
                shutil.rmtree(partial_of(folder), ignore_errors=True)


@contextmanager
def _explained(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if (failure := unwritable(f"home's folder {place}", error)) is not None:
            raise failure from None
        raise RequestError(
            f"home must be a folder that can be written, with room for the data: {place} cannot be written "
            f"({error.strerror or error}); choose another with --home."
        ) from None
