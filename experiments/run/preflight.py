"""Trying things out in a worker, before anything is recorded: the device, and a user's own
factory.
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

# Calling a worker and waiting for its answer, where there is nothing else to do meanwhile.


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
                    raise OutOfMemory(
                        f"memory ran out as a worker was asked to {method} a trial: {message.error}"
                    )
                if message.request:
                    raise RequestError(message.error)
                raise RuntimeError(f"{method} failed in a worker:\n{message.text}")
            if isinstance(message, Died):
                raise SearchError(
                    f"the worker that was asked to {method} a trial died ({message.how})."
                )
            return message.value


def confirm_device(execution: Execution, executor: Executor) -> Execution:
    """Have a worker see that its backend trains on a card, if cards were chosen, and return what it
    calls that card.

    On the processor nobody is asked, nor waited for: there workers are shown no card.

    Raises:
        RequestError: the backend finds no card that it can use.
        SearchError: workers can't be started.
    """
    if not execution.gpus:
        return execution
    worker = first_worker(executor)
    reported = call(executor, worker, "device")["device"]
    executor.release(worker)
    return dataclasses.replace(execution, reported=reported)


def run_preflight_check(
    session: Session, configuration: Configuration, executor: Executor, display: Display
) -> None:
    """Have a worker build a configuration's model and train it on a few images, if a user's own
    code makes it.

    The display is told what the user should know of the model, such as why its epochs are slow. A
    model that does not fit into memory is no mistake of the factory's: its trial will fail, and the
    others may not.

    Raises:
        RequestError: the factory fails, with the line of the user's file, or its model lacks what
            the search needs.
        SearchError: the worker died of it.
    """
    if session.experiment.family.factory is None:
        return
    worker = first_worker(executor)
    try:
        _run_preflight_check(session, configuration, executor, worker, display)
    except OutOfMemory:
        display.log("the first configuration was not tried out: its model does not fit into memory")
        executor.replace(worker)
        return
    executor.release(worker)


def _run_preflight_check(
    session: Session,
    configuration: Configuration,
    executor: Executor,
    worker: int,
    display: Display,
) -> None:
    spec = session.trial_spec(
        Trial(number=0, searched=configuration, seed=session.seed, origin="rehearsal")
    )
    tried = call(executor, worker, "check", spec=spec)
    begun = call(executor, worker, "begin", spec=spec)
    call(executor, worker, "drop")
    _check_objectives(session, tried)
    if "note" in begun:
        display.log(begun["note"])


def _check_objectives(session: Session, tried: Mapping[str, Any]) -> None:
    experiment = session.experiment
    for objective in experiment.search.goals.each:
        if objective.metric not in (*tried["metrics"], *COSTS):
            raise RequestError(
                f"[search] objectives: the model of {experiment.family.name} measures {', '.join(tried['metrics'])}; "
                f"received {str(objective)!r}: compile it with a metric called "
                f"{objective.metric.removeprefix('val_')!r}, or choose another objective."
            )
