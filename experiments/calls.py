"""Calling a worker and waiting for its answer, where there is nothing else to do meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.errors import RequestError
from search.errors import OutOfMemory, SearchError
from search.protocols import Died, Executor, Method, Raised

_LOOK_UP_SECONDS = 0.2


def first_worker(executor: Executor) -> int:
    """Return the first worker that is up, waiting for it.

    Raises:
        SearchError: workers can't be started.
    """
    while not executor.idle():
        executor.wait(_LOOK_UP_SECONDS)
    return executor.idle()[0]


def call(executor: Executor, worker: int, method: Method, **arguments: Any) -> Mapping[str, Any]:
    """Call a method of a worker's trainer and return its answer.

    Raises:
        RequestError: what the worker was asked for can't be; the user's to mend.
        OutOfMemory: it took more memory than there is; the worker should be replaced.
        SearchError: the worker died of it.
        RuntimeError: it failed otherwise.
    """
    executor.call(worker, method, **arguments)
    while True:
        for message in executor.wait(_LOOK_UP_SECONDS):
            if message.worker != worker:
                continue
            if isinstance(message, Raised):
                if message.out_of_memory:
                    raise OutOfMemory(f"memory ran out as a worker was asked to {method} a trial: {message.error}")
                if message.request:
                    raise RequestError(message.error)
                raise RuntimeError(f"{method} failed in a worker:\n{message.text}")
            if isinstance(message, Died):
                raise SearchError(f"the worker that was asked to {method} a trial died ({message.how}).")
            return message.value
