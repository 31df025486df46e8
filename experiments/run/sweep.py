"""The main job: search an experiment's space, every trial in MLflow."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.experiments.config.experiment import Experiment
from assay.experiments.config.request import SweepRequest
from assay.experiments.run.execution import Execution
from assay.experiments.run.ordering import Inputs, longest_first
from assay.experiments.run.orphans import settle_orphaned_runs
from assay.experiments.run.preflight import confirm_device, run_preflight_check
from assay.experiments.run.progress import Display, SweepState
from assay.experiments.run.provenance import study_fingerprint
from assay.experiments.run.result import RankedTrial, SweepResult
from assay.experiments.run.session import (
    Ending,
    Session,
    check_batch,
    is_surely_valid,
    prepared,
    supervise,
)
from assay.experiments.run.study_locks import (
    check_free,
    free,
    is_alone,
    model_store_of,
    pass_on_others,
    settle_others,
    take,
)
from assay.experiments.run.trial_batching import TrialBatching, check_fuse, choose
from assay.experiments.tracking.follower import MlflowTracker
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError, SearchError
from assay.search.artifacts import Checkpoints, ModelStore
from assay.search.events import StudyClosed, StudyOpened
from assay.search.journal import Journal, last, read
from assay.search.objective import ParetoFront
from assay.search.samplers import get_sampler
from assay.search.system.signals import StopRequest
from assay.search.system.urls import is_there, masked
from assay.search.workers.protocol import Executor
from assay.search.workers.vmap_lanes import LaneExecutor

if TYPE_CHECKING:
    import optuna

    from assay.search.plan import StudyRequest
    from assay.search.study import StudyTrials
    from assay.search.study_record import StudyRecord


# A supervisor's time at a study: it opens it in its journal, settles and queues what comes first,
# and searches.


_PARENT_SECONDS = 5.0
_STOPPING = "stopping: trials under way are done again next time; asked again, it ends at once, and loses nothing"


@dataclass(frozen=True)
class SweepContext:
    """Where a supervisor works: the study by its name, its instance in this home, and whom it
    tells.
    """

    study: str
    store_paths: StorePaths
    instance: int
    trials: StudyTrials
    journal: Journal
    tracker: MlflowTracker
    display: Display


def search(
    context: SweepContext,
    session: Session,
    request: SweepRequest,
    executor: Executor,
    model_store: ModelStore,
) -> Ending:
    """Open the study in the journal, settle what was left of it, and search until it is closed
    again.

    Raises:
        SearchError: the storage failed before there was anything to search.
    """
    experiment, trials = session.experiment, context.trials
    with StopRequest() as stop:
        trials.heed(stop.__bool__)
        try:
            trials.run_locked(lambda: _begin(context, session, request))
        except SearchError as error:
            raise SearchError(str(error), stop.exit_code if stop else 1) from error
        context.display.on_open(_state(context.study, session, trials))
        if experiment.search.pruner != "none" and experiment.search.goals.by_epoch is None:
            context.display.log(
                "nothing is pruned: that takes a single objective that every epoch measures"
            )
        context.journal.subscribe(context.display.on_event)
        plan = session.plan(
            experiment.search.trials, model_store, request.timeout_seconds, request.failure_policy
        )
        return supervise(
            plan, trials, executor, context.journal, stop, lambda: context.display.log(_STOPPING)
        )


def is_closed(trials: StudyTrials, own: Path, journals: Iterable[Path]) -> bool:
    """Whether nothing of the study is left in the middle: by a supervisor that died at its very
    end, say.

    Args:
        trials: the study.
        own: this supervisor's journal. A study that is done was not put away if that was closed
            otherwise.
        journals: those of which nobody else is the supervisor now.
    """
    from assay.search.recovery import (
        supervisors,
    )  # here, because workers should not have to wait for Optuna's import

    closed = last(own)
    finished = isinstance(closed, StudyClosed) and closed.closing == "finished"
    return finished and all(
        isinstance(last(journal), StudyClosed) and not trials.left_running(supervisors(journal))
        for journal in journals
    )


def queue_known(
    trials: StudyTrials,
    experiment: Experiment,
    request: SweepRequest,
    inputs: Inputs | None,
    workers: int,
) -> None:
    """Queue what is asked for by name: the user's list, then the baselines, the longest of each
    first.
    """
    known = (("enqueued", request.enqueued), ("baseline", experiment.baseline_configurations()))
    for origin, configurations in known:
        trials.enqueue(longest_first(configurations, experiment, inputs, workers), origin)


def _begin(context: SweepContext, session: Session, request: SweepRequest) -> None:
    """Settle what earlier supervisors left, then queue what comes before the sampler's own."""
    from assay.search.recovery import recover, supervisors, try_again  # here for the same reason

    trials, journal = context.trials, context.journal
    journal.append(session.opened(context.study, trials.study_id, trials.supervisor))
    recover(trials, journal, session.hyperparameters)
    dead = supervisors(journal.path)
    dead |= settle_others(
        context.store_paths, context.study, context.instance, trials, session.hyperparameters
    )
    if trials.done() < session.experiment.search.trials:
        if again := try_again(trials, request.failure_policy.retries, dead):
            what = "a trial that was" if again == 1 else f"{again} trials that were"
            how = (
                "to be tried again"
                if session.checkpoints is None
                else "to go on from where they were kept"
            )
            context.display.log(f"{context.study}: {what} interrupted, or whose worker died, {how}")
        queue_known(trials, session.experiment, request, session.inputs, session.execution.workers)
    if trials.is_shared:
        # Whoever opens the study next, perhaps at once, must find its run, or would make another.
        context.tracker.wait_for_parent(_PARENT_SECONDS)


def _state(name: str, session: Session, trials: StudyTrials) -> SweepState:
    best_trials = ParetoFront(session.experiment.search.goals)
    best_trials.values = dict(trials.best_trials())
    return SweepState(
        study=name,
        experiment=session.experiment,
        execution=session.execution,
        done=trials.done(),
        best_trials=best_trials,
        wanted=session.experiment.search.trials,
    )


def sweep(
    experiment: Experiment, request: SweepRequest, store_paths: StorePaths, display: Display
) -> SweepResult:
    """Search an experiment's space until its study is done, its time is up, or somebody asks to
    stop.

    Everything is checked and opened before the first trial; what is refused leaves no trial in
    either store.

    Raises:
        RequestError: the request can't be met as it stands.
    """
    began = time.monotonic()
    experiment.search.check(experiment.space, experiment.largest("epochs"))
    check_batch(experiment, store_paths)
    name = checked_name(experiment.name if request.study is None else request.study)
    execution = Execution.choose(request.execution, request.workers, request.fuse)
    check_fuse(execution.fuse, experiment, execution.precision, request.checkpoint)
    check_free(store_paths, name)
    with ExitStack() as stack:
        # First, because what workers import takes longer than all that comes before the first
        # trial.
        executor: Executor = stack.enter_context(execution.executor())
        tracker = MlflowTracker(
            store_paths.workspace.journal(name),
            store_paths.tracking_uri,
            store_paths.workspace.artifacts,
        )
        stack.callback(tracker.leave)
        tracker.start()
        on_the_way = f"{experiment.name}: the data are being made ready, the workers are starting"
        if surely := is_surely_valid(experiment, execution, store_paths):
            display.log(on_the_way)
        # Home's own, if it is not there yet, is made only when nothing can be refused any more.
        is_new = store_paths.storage == store_paths.workspace.storage and not is_there(
            store_paths.storage
        )
        storage = None if is_new else _open_storage(store_paths, display, stack)
        data = prepared(experiment, store_paths, display, meanwhile=_import_optuna)
        execution = confirm_device(execution, executor)
        run_preflight_check(
            Session(experiment, data, execution, request.seed or 0),
            experiment.first(),
            executor,
            display,
        )
        if not surely:
            display.log(on_the_way)
        instance = take(stack, store_paths, name)
        stack.callback(tracker.leave)  # while the instance's journal is still ours
        journal_file = store_paths.workspace.journal(name, instance)
        tracker.follow(journal_file)
        known = None if storage is None else _find_known(storage, name)
        batching = _choose_batching(known, experiment, request, execution)
        asked = study_request(
            name, experiment, request, study_fingerprint(experiment, data, execution, batching)
        )
        if known is not None:
            known.check(asked.fingerprint)
            if not known.is_shared:
                _check_journal(known, journal_file)
        tracker.wait_until_open()
        settle_orphaned_runs(store_paths)
        trials = _take_up(storage or _open_storage(store_paths, display, stack), asked)
        experiment = _limited(experiment, trials, display)
        checkpoints = (
            Checkpoints(store_paths.workspace.checkpoints(name)) if request.checkpoint else None
        )
        session = Session(experiment, data, execution, trials.seed, batching, checkpoints)
        if batching is not None and batching.size > 1 and checkpoints is None:
            executor = LaneExecutor(executor, batching.size)
            display.log(f"{experiment.name}: up to {batching.size} trials a worker train together")
        stack.callback(display.on_close)
        journals = free(store_paths.workspace, name, instance)
        if trials.done() < experiment.search.trials or not is_closed(
            trials, journal_file, journals
        ):
            model_store = model_store_of(store_paths.workspace, name, instance)
            with Journal(journal_file) as journal:
                journal.subscribe(tracker.on_event)
                context = SweepContext(
                    name, store_paths, instance, trials, journal, tracker, display
                )
                ending = search(context, session, request, executor, model_store)
        else:
            ending = Ending("finished", None, 0)
            if request.enqueued:
                display.log(
                    f"nothing was enqueued: study {name!r} is done; ask for more with --trials."
                )
        executor.close()
        display.on_close()
        untracked = tracker.close(ending.closing == "interrupted", display.log)
        if untracked is None and ending.closing != "interrupted":
            pass_on_others(store_paths, name, instance)
        try:
            is_done = ending.closing == "finished" and trials.done() >= experiment.search.trials
            if is_done and is_alone(
                store_paths.workspace, name, instance
            ):  # else somebody goes on with them, now or later
                Checkpoints(store_paths.workspace.checkpoints(name)).remove()
            return SweepResult(
                study=name,
                experiment=experiment.name,
                tracking_uri=masked(store_paths.tracking_uri),
                parent_run_id=tracker.parent_run_id,
                seconds=time.monotonic() - began,
                trials=trials.counts(),
                objectives=experiment.search.goals,
                best_trials=_best_trials(trials, tracker),
                # Nobody who asked to stop waits for them.
                importances={} if ending.closing == "interrupted" else trials.importances(),
                wanted=experiment.search.trials,
                exhausted=not trials.more(),
                untracked=untracked,
                ending=ending,
                importance=experiment.search.importance,
            )
        except (
            SearchError
        ) as error:  # the storage is away, and with it all there is to say of the study
            raise SearchError(str(error), ending.exit_code or 1) from error


def _limited(experiment: Experiment, trials: StudyTrials, display: Display) -> Experiment:
    """Return the experiment with no more trials than there are configurations left to try; say how
    many there are.
    """
    search, left = experiment.search, trials.left()
    if left is None:
        return experiment
    most = max(1, trials.done() + left)
    size = get_sampler(search.sampler).size(experiment.space)
    more = (
        f"; --trials {most} tries them all, this tries {search.trials}"
        if search.trials < most
        else ""
    )
    display.log(f"{experiment.name}: the {search.sampler} has {size:,} configurations{more}")
    return experiment.searching(trials=min(search.trials, most))


def _choose_batching(
    known: StudyRecord | None, experiment: Experiment, request: SweepRequest, execution: Execution
) -> TrialBatching | None:
    """Return how the study's trials are trained together: as it was made, or as is asked for."""
    fingerprint = None if known is None else known.fingerprint
    device = "gpu" if execution.gpus else "cpu"
    seed, precision = request.seed or 0, execution.precision
    return choose(
        execution.fuse,
        fingerprint,
        experiment,
        device,
        execution.workers,
        seed,
        precision,
        request.checkpoint,
    )


def checked_name(study: str) -> str:
    """Return a study's name if it can be one.

    Raises:
        RequestError: it is no line of text.
    """
    if not study.strip() or not study.isprintable():
        raise RequestError(
            f"a study's name must be a line of text; received {study!r}: name another with --study."
        )
    return study


def _import_optuna() -> None:
    for module in ("assay.search.storage.opening", "assay.search.study", "assay.search.recovery"):
        importlib.import_module(module)


def _open_storage(
    store_paths: StorePaths, display: Display, stack: ExitStack
) -> optuna.storages.BaseStorage:
    from assay.search.storage.opening import (
        open_storage,  # here, because workers should not have to wait for Optuna's import
    )

    storage = open_storage(store_paths.storage, wait_for_server=True)
    stack.callback(storage.close)
    storage.waiting = display.log
    return storage


def _find_known(storage: optuna.storages.BaseStorage, name: str) -> StudyRecord | None:
    from assay.search.study_record import load_study_record  # here for the same reason

    return load_study_record(storage, name)


def _take_up(storage: optuna.storages.BaseStorage, asked: StudyRequest) -> StudyTrials:
    from assay.search.study import StudyTrials  # here for the same reason

    return StudyTrials(storage, asked)


def study_request(
    name: str, experiment: Experiment, request: SweepRequest, fingerprint: Mapping[str, Any]
) -> StudyRequest:
    """Return the study that a sweep asks for."""
    from assay.search.plan import StudyRequest  # here for the same reason

    return StudyRequest(
        name=name,
        space=experiment.space,
        objectives=experiment.search.goals,
        fingerprint=fingerprint,
        sampler=experiment.search.sampler,
        pruner=experiment.search.pruner,
        epochs=experiment.largest("epochs"),
        seed=request.seed,
        sampler_options=experiment.search.read_sampler_options(),
        pruner_options=experiment.search.read_pruner_options(),
        importance=experiment.search.importance,
    )


def _check_journal(known: StudyRecord, journal_file: Path) -> None:
    """See that it was from this home that the study was run: only here is it known what became of
    its trials.

    Raises:
        RequestError: it was from another, whose supervisor may be at work on it now.
    """
    opened = (event for event, _ in read(journal_file, only=[StudyOpened]))
    ours = any(
        isinstance(event, StudyOpened) and event.study_id == known.study_id for event in opened
    )
    if not ours and known.study.get_trials(deepcopy=False):
        raise RequestError(
            f"study {known.study.study_name!r} lies in this storage but was run from another home: name that one with "
            "--home, or give this one a --study NAME."
        )


def _best_trials(trials: StudyTrials, tracker: MlflowTracker) -> list[RankedTrial]:
    return [
        RankedTrial(number, values, trials.searched(trials.trial(number)), tracker.run_id(number))
        for number, values in trials.best_trials().items()
    ]
