"""Child processes for code that imports a backend.

The process that runs the benchmark imports no backend.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from tests.benchmarks.processes import environment


@contextmanager
def child() -> Iterator[ProcessPoolExecutor]:
    """Start an executor with one fresh process, and close it on exit.

    The process has the environment variables of all sides.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        1, mp_context=context, initializer=_set_environment, initargs=(environment(),)
    ) as pool:
        yield pool


def _set_environment(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)
