"""Trying a user's own factory out in a worker, before anything is recorded."""

from __future__ import annotations

from experiments.calls import call, first_worker
from experiments.progress.display import Display
from experiments.session import Session
from models.errors import RequestError
from search.objective import COSTS
from search.protocols import Executor, Trial
from search.space import Configuration


def rehearse(session: Session, configuration: Configuration, executor: Executor, display: Display) -> None:
    """Have a worker build a configuration's model and train it on a few images, if a user's own code makes it.

    The display is told what the user should know of the model, such as why its epochs are slow.

    Raises:
        RequestError: the factory fails, with the line of the user's file, or its model lacks what the search needs.
        SearchError: the worker died of it.
    """
    experiment = session.experiment
    if experiment.family.own is None:
        return
    assignment = session.assign(Trial(number=0, searched=configuration, seed=session.seed, origin="rehearsal"))
    worker = first_worker(executor)
    tried = call(executor, worker, "check", assignment=assignment)
    begun = call(executor, worker, "begin", assignment=assignment)
    call(executor, worker, "drop")
    executor.release(worker)
    for objective in experiment.search.goals.each:
        if objective.metric not in (*tried["metrics"], *COSTS):
            raise RequestError(
                f"[search] objectives: the model of {experiment.family.name} measures {', '.join(tried['metrics'])}; "
                f"received {str(objective)!r}: compile it with a metric called "
                f"{objective.metric.removeprefix('val_')!r}, or choose another objective."
            )
    if "note" in begun:
        display.note(begun["note"])
