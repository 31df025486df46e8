"""A process of its own for what needs a backend: whoever measures imports none."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from tests.benchmarks.processes import environment


@contextmanager
def child() -> Iterator[ProcessPoolExecutor]:
    """Enter with an executor whose one process is fresh, and has the variables of all sides."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        1, mp_context=context, initializer=_adopt, initargs=(environment(),)
    ) as pool:
        yield pool


def _adopt(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)
