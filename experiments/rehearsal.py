"""Trying a user's own factory out in a worker, before anything is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.session import Session
from models.errors import RequestError
from models.names import check_name
from search.errors import SearchError
from search.objective import COSTS
from search.protocols import Died, Executor, Method, Raised, Trial

_LOOK_UP_SECONDS = 0.2


def rehearse(session: Session, executor: Executor) -> str | None:
    """Have a worker build the first configuration's model and train it on a few images, if a user's own code makes it.

    Returns:
        What the user should know of the model, such as why its epochs are slow; None if there is nothing.

    Raises:
        RequestError: the factory fails, with the line of the user's file, or its model lacks what the search needs.
        SearchError: the worker died of it.
    """
    experiment = session.experiment
    if experiment.family.own is None:
        return None
    configuration = next(iter(experiment.baseline_configurations()), experiment.space.corner(0, {}))
    assignment = session.assign(Trial(number=0, searched=configuration, seed=session.seed, origin="rehearsal"))
    worker = _first_worker(executor)
    tried = _call(executor, worker, "check", assignment=assignment)
    begun = _call(executor, worker, "begin", assignment=assignment)
    _call(executor, worker, "drop")
    executor.release(worker)
    for objective in experiment.search.goals.each:
        check_name(
            f"metric in [search] objectives, which must be one that {experiment.family.name} measures",
            objective.metric,
            [*tried["metrics"], *COSTS],
        )
    note = begun.get("note")
    return None if note is None else str(note)


def _first_worker(executor: Executor) -> int:
    while not executor.idle():
        executor.wait(_LOOK_UP_SECONDS)
    return executor.idle()[0]


def _call(executor: Executor, worker: int, method: Method, **arguments: Any) -> Mapping[str, Any]:
    executor.call(worker, method, **arguments)
    while True:
        for message in executor.wait(_LOOK_UP_SECONDS):
            if message.worker != worker:
                continue
            if isinstance(message, Raised):
                if message.request:
                    raise RequestError(message.error)
                raise RuntimeError(f"trying the factory out failed:\n{message.text}")
            if isinstance(message, Died):
                raise SearchError(f"the worker that tried the factory out died ({message.how}).")
            return message.value
