"""Preflight check: what a worker tries out before anything is recorded.

A worker names the device that its backend trains on, and trains a model of the user's own factory
on a few examples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from assay.experiments.run.execution import Execution
from assay.experiments.run.progress import Display
from assay.experiments.run.session import Session
from assay.models.errors import OutOfMemory, RequestError, SearchError
from assay.search.objective import COSTS
from assay.search.space import Configuration
from assay.search.workers.protocol import Died, Executor, Method, Raised, Trial

_POLL_SECONDS = 0.2


def confirm_device(execution: Execution, executor: Executor) -> Execution:
    """Return the execution with the device as the backend names it.

    On the CPU there is nothing to confirm: workers see no GPU there.

    Raises:
        RequestError: the backend finds no GPU that it can use.
        SearchError: workers can't be started.
    """
    if not execution.gpus:
        return execution
    worker = wait_for_worker(executor)
    reported = call(executor, worker, "device")["device"]
    executor.release(worker)
    return dataclasses.replace(execution, reported=reported)


def run_preflight_check(
    session: Session, configuration: Configuration, executor: Executor, display: Display
) -> None:
    """Check a user-defined model on a few examples.

    Built-in families need no check.

    A model that does not fit into memory is no mistake of the factory: its trial will fail, and
    others may not.

    Args:
        session: experiment, data and execution.
        configuration: of the model.
        executor: of the workers.
        display: shows what the user should know of the model, such as why its epochs are slow.

    Raises:
        RequestError: the factory fails, with the line of the user's file, or its model lacks a
            metric that the search needs.
        SearchError: the worker died.
    """
    if session.experiment.family.factory is None:
        return
    worker = wait_for_worker(executor)
    trial = Trial(number=0, searched=configuration, seed=session.seed, origin="preflight check")
    spec = session.setup(trial).spec
    try:
        tried = call(executor, worker, "check", spec=spec)
        begun = call(executor, worker, "begin", spec=spec)
        call(executor, worker, "drop")
    except OutOfMemory:
        display.log("the first configuration was not checked: its model does not fit into memory")
        executor.replace(worker)
        return
    _check_objectives(session, tried)
    if "note" in begun:
        display.log(begun["note"])
    executor.release(worker)


def _check_objectives(session: Session, tried: Mapping[str, Any]) -> None:
    experiment = session.experiment
    for objective in experiment.search.goals.each:
        if objective.metric not in (*tried["metrics"], *COSTS):
            raise RequestError(
                f"[search] objectives: the model of {experiment.family.name} measures "
                f"{', '.join(tried['metrics'])}; received {str(objective)!r}: compile it with a "
                f"metric called {objective.metric.removeprefix('val_')!r}, or choose another "
                "objective."
            )


def wait_for_worker(executor: Executor) -> int:
    """Return the first worker that is idle, once one is.

    Raises:
        SearchError: workers can't be started.
    """
    while not executor.idle():
        executor.wait(_POLL_SECONDS)
    return executor.idle()[0]


def call(executor: Executor, worker: int, method: Method, **arguments: Any) -> Mapping[str, Any]:
    """Call a method of a worker's trainer, and wait for its return value.

    Raises:
        RequestError: the worker refused the request.
        OutOfMemory: memory ran out; the worker should be replaced.
        SearchError: the worker died.
        RuntimeError: any other exception in the worker.
    """
    executor.call(worker, method, **arguments)
    while True:
        for message in executor.wait(_POLL_SECONDS):
            if message.worker != worker:
                continue
            if isinstance(message, Died):
                raise SearchError(f"the worker died ({message.how}) during its call {method!r}.")
            if isinstance(message, Raised):
                raise _exception(message, method)
            return message.value


def _exception(message: Raised, method: Method) -> Exception:
    if message.out_of_memory:
        return OutOfMemory(f"memory ran out during a worker's call {method!r}: {message.error}")
    if message.request:
        return RequestError(message.error)
    return RuntimeError(f"{method} failed in a worker:\n{message.text}")
