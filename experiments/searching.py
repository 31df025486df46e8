"""A supervisor's time at a study: it opens it in its journal, settles and queues what comes first, and searches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.experiment import Experiment
from experiments.longest import Inputs, longest_first
from experiments.places import Places
from experiments.progress.display import Display
from experiments.progress.state import SweepState
from experiments.session import Ending, Session, supervise
from experiments.slots import settle_others
from experiments.sweep_result import SweepRequest
from experiments.tracking.follower import MlflowTracker
from search.errors import SearchError
from search.events import StudyClosed
from search.journal import Journal, last
from search.model_shelf import ModelShelf
from search.objective import Leaders
from search.protocols import Executor
from search.stop import StopRequest

if TYPE_CHECKING:
    from search.study import StudyTrials

_PARENT_SECONDS = 5.0
_STOPPING = "stopping: trials under way are done again next time; asked again, it ends at once, and loses nothing"


@dataclass(frozen=True)
class Desk:
    """Where a supervisor works: the study by its name, its slot in this home, and whom it tells."""

    study: str
    places: Places
    slot: int
    trials: StudyTrials
    journal: Journal
    tracker: MlflowTracker
    display: Display


def search(desk: Desk, session: Session, request: SweepRequest, executor: Executor, shelf: ModelShelf) -> Ending:
    """Open the study in the journal, settle what was left of it, and search until it is closed again.

    Raises:
        SearchError: the storage failed before there was anything to search.
    """
    experiment, trials = session.experiment, desk.trials
    with StopRequest() as stop:
        trials.heed(stop.__bool__)
        try:
            trials.in_turn(lambda: _begin(desk, session, request))
        except SearchError as error:
            raise SearchError(str(error), stop.exit_code if stop else 1) from error
        desk.display.opened(_state(desk.study, session, trials))
        if experiment.search.pruner != "none" and experiment.search.goals.by_epoch is None:
            desk.display.note("nothing is pruned: that takes a single objective that every epoch measures")
        desk.journal.listen(desk.display.hear)
        plan = session.plan(experiment.search.trials, shelf, request.timeout_seconds, request.tolerance)
        return supervise(plan, trials, executor, desk.journal, stop, lambda: desk.display.note(_STOPPING))


def is_closed(trials: StudyTrials, own: Path, journals: Iterable[Path]) -> bool:
    """Whether nothing of the study is left in the middle: by a supervisor that died at its very end, say.

    Args:
        trials: the study.
        own: this supervisor's journal. A study that is done was not put away if that was closed otherwise.
        journals: those of which nobody else is the supervisor now.
    """
    from search.recovery import supervisors  # here, because workers should not have to wait for Optuna's import

    closed = last(own)
    finished = isinstance(closed, StudyClosed) and closed.closing == "finished"
    return finished and all(
        isinstance(last(journal), StudyClosed) and not trials.left_running(supervisors(journal)) for journal in journals
    )


def queue_known(
    trials: StudyTrials, experiment: Experiment, request: SweepRequest, inputs: Inputs | None, workers: int
) -> None:
    """Queue what is asked for by name: the user's list, then the baselines, the longest of each first."""
    known = (("enqueued", request.enqueued), ("baseline", experiment.baseline_configurations()))
    for origin, configurations in known:
        trials.enqueue(longest_first(configurations, experiment, inputs, workers), origin)


def _begin(desk: Desk, session: Session, request: SweepRequest) -> None:
    """Settle what earlier supervisors left, then queue what comes before the sampler's own."""
    from search.recovery import recover, supervisors, try_again  # here for the same reason

    trials, journal = desk.trials, desk.journal
    journal.append(session.opened(desk.study, trials.study_id, trials.supervisor))
    recover(trials, journal, session.describe)
    dead = supervisors(journal.path)
    dead |= settle_others(desk.places, desk.study, desk.slot, trials, session.describe)
    if trials.done() < session.experiment.search.trials:
        if again := try_again(trials, request.tolerance.retries, dead):
            what = "a trial that was" if again == 1 else f"{again} trials that were"
            how = "to be tried again" if session.checkpoints is None else "to go on from where they were kept"
            desk.display.note(f"{desk.study}: {what} interrupted, or whose worker died, {how}")
        queue_known(trials, session.experiment, request, session.inputs, session.execution.workers)
    if trials.is_shared:
        # Whoever opens the study next, perhaps at once, must find its run, or would make another.
        desk.tracker.wait_for_parent(_PARENT_SECONDS)


def _state(name: str, session: Session, trials: StudyTrials) -> SweepState:
    leaders = Leaders(session.experiment.search.goals)
    leaders.values = dict(trials.leaders())
    return SweepState(
        study=name,
        experiment=session.experiment,
        execution=session.execution,
        done=trials.done(),
        leaders=leaders,
        wanted=session.experiment.search.trials,
    )
