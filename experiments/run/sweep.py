"""A sweep: search an experiment's space, and track every trial in MLflow.

`sweep` goes through seven stages, each a function below it:

1. check the request, before anything is started;
2. start the workers and the tracker, which take seconds to import;
3. prepare what a wrong request can still fail on: the storage, the data, the user's model;
4. open the stores: lock the study, open it in Optuna, and let the tracker write;
5. search: recover what was left of the study, queue what comes first, and train;
6. close: end the workers, and wait until MLflow has everything;
7. read the result from the study.

Up to the lock in stage 4, a request that is refused leaves nothing behind. The order of the stages,
and of the steps in them, is what recovery relies on: see "Order of writes" in docs/design.md.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.experiments.config.experiment import Experiment
from assay.experiments.config.request import SweepRequest
from assay.experiments.evaluation.study_facts import read_training
from assay.experiments.run.execution import Execution
from assay.experiments.run.ordering import Inputs, longest_first
from assay.experiments.run.orphans import settle_orphaned_runs
from assay.experiments.run.preflight import (
    Preflight,
    check_custom_model,
    confirm_device,
    read_built_in_facts,
)
from assay.experiments.run.progress import Display, SweepState
from assay.experiments.run.provenance import study_fingerprint
from assay.experiments.run.result import RankedTrial, RunStatus, SweepResult
from assay.experiments.run.session import (
    Session,
    check_batch_size,
    is_surely_valid,
    prepare_data,
    start_processes,
    supervise,
)
from assay.experiments.run.study_locks import (
    acquire_instance,
    check_is_free,
    free_journals,
    is_only_instance,
    model_store_of,
    recover_other_instances,
    track_other_instances,
    update_home_addresses,
)
from assay.experiments.run.trial_batching import (
    TrialBatching,
    check_fuse_option,
    choose_batching,
)
from assay.experiments.tracking.follower import MlflowTracker
from assay.experiments.tracking.home_id import check_is_recorded_here, ensure_home_id
from assay.experiments.tracking.schema import COMMAND_TAG, read_preflight
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError, SearchError
from assay.search.artifacts import Checkpoints
from assay.search.events import StudyClosed
from assay.search.history import read_sessions
from assay.search.journal import Journal, last_event
from assay.search.objective import ParetoFront
from assay.search.optuna_messages import quiet_optuna
from assay.search.samplers import get_sampler
from assay.search.system.signals import StopRequest
from assay.search.system.urls import mask_secrets, store_exists
from assay.search.workers.protocol import Executor
from assay.search.workers.vmap_lanes import LaneExecutor

if TYPE_CHECKING:
    import optuna

    from assay.experiments.evaluation.study_evaluation import StudyEvaluation
    from assay.search.importances import ImportanceReport
    from assay.search.plan import StudyRequest
    from assay.search.study import StudyTrials
    from assay.search.study_record import StudyRecord

_PARENT_RUN_SECONDS = 5.0
_STOPPING = (
    "stopping: running trials will be done again by the next sweep; press Ctrl-C again to end at "
    "once, which loses nothing"
)


@dataclass(frozen=True)
class SweepContext:
    """What the stages of a sweep share once the stores are open.

    Attributes:
        study: name of the study.
        request: what was asked for.
        store_paths: home and both stores.
        instance: number of this supervisor among those of the study in this home, from 1.
        trials: the study in Optuna.
        tracker: passes the journal on to MLflow.
        executor: of the workers.
        session: experiment, data and execution.
        display: shows the progress.
    """

    study: str
    request: SweepRequest
    store_paths: StorePaths
    instance: int
    trials: StudyTrials
    tracker: MlflowTracker
    executor: Executor
    session: Session
    display: Display

    @property
    def journal_file(self) -> Path:
        """The journal of this supervisor."""
        return self.store_paths.workspace.journal(self.study, self.instance)

    @cached_property
    def importance(self) -> Mapping[str, ImportanceReport]:
        """Importance and effects of the hyperparameters, once the search has ended."""
        return self.trials.report_importances()

    @property
    def wanted(self) -> int:
        """Number of complete or pruned trials at which the study is done."""
        return self.session.experiment.search.trials


def sweep(
    experiment: Experiment, request: SweepRequest, store_paths: StorePaths, display: Display
) -> SweepResult:
    """Run a sweep.

    It ends when its study is done, its time is up, or the user stops it.

    Args:
        experiment: what is searched.
        request: how, and what comes first.
        store_paths: home and both stores.
        display: shows the progress.

    Raises:
        RequestError: the request can't be met; no trial was written to either store.
        SearchError: a store failed before the search could begin.
    """
    began = time.monotonic()
    study, execution = _check_request(experiment, request, store_paths)
    with ExitStack() as stack:
        executor, tracker = start_processes(stack, experiment, execution, store_paths, study)
        storage, preflight, execution = _prepare(
            stack, experiment, request, store_paths, display, execution, executor
        )
        context = _open_stores(
            stack,
            _Opening(study, preflight, request, store_paths, display, execution),
            storage,
            executor,
            tracker,
        )
        status = _search_or_skip(context)
        status = _close(context, status)
        try:
            _remove_checkpoints(context, status)
            return _read_result(context, status, time.monotonic() - began)
        except SearchError as error:
            # The storage is away, and with it all there is to report of the study.
            raise SearchError(str(error), status.search_exit_code or 1) from error


# Stage 1: check.


def _check_request(
    experiment: Experiment, request: SweepRequest, store_paths: StorePaths
) -> tuple[str, Execution]:
    """Check the request; return the study's name and the execution.

    Nothing here needs a process, data or a store.

    Raises:
        RequestError: the request can't be met.
    """
    experiment.search.check(experiment.space, experiment.largest_value("epochs"))
    check_batch_size(experiment, store_paths)
    study = check_study_name(experiment.name if request.study is None else request.study)
    execution = Execution.choose(request.execution, request.workers, request.fuse)
    check_fuse_option(execution.fuse, experiment, execution.precision, request.checkpoint)
    check_is_free(store_paths, study)
    return study, execution


def check_study_name(study: str) -> str:
    """Return a study's name if it can be one.

    Raises:
        RequestError: it is not one line of printable text.
    """
    if not study.strip() or not study.isprintable():
        raise RequestError(
            f"a study's name must be a line of text; received {study!r}: choose another --study."
        )
    return study


# Stage 3: prepare.


def _prepare(
    stack: ExitStack,
    experiment: Experiment,
    request: SweepRequest,
    store_paths: StorePaths,
    display: Display,
    execution: Execution,
    executor: Executor,
) -> tuple[optuna.storages.BaseStorage | None, Preflight, Execution]:
    """Prepare the storage, the data, the device and the model.

    Returns:
        The storage, or None if home has none yet; experiment and data after the preflight check;
        and the execution with the device as its backend names it.

    Raises:
        RequestError: one of them can't be had.
    """
    under_way = f"{experiment.name}: preparing the data and starting the workers"
    if is_valid := is_surely_valid(experiment, execution, store_paths):
        display.log(under_way)
    # A storage of home's own is created only when nothing can be refused any more.
    is_new = store_paths.has_own_storage and not store_exists(store_paths.storage)
    storage = None if is_new else _open_storage(stack, store_paths, display)
    data = prepare_data(experiment, store_paths, meanwhile=_import_optuna)
    execution = confirm_device(execution, executor)
    preflight = Preflight(experiment, data)
    spec = Session(preflight, execution, request.seed or 0).first_spec(
        experiment.first_configuration()
    )
    preflight = check_custom_model(preflight, spec, executor, display)
    if not is_valid:
        display.log(under_way)
    return storage, preflight, execution


def _import_optuna() -> None:
    # Not at the top of this module: workers should not have to wait for it.
    for module in (
        "assay.search.storage.opening",
        "assay.search.study",
        "assay.search.recovery",
    ):
        importlib.import_module(module)


def _open_storage(
    stack: ExitStack, store_paths: StorePaths, display: Display
) -> optuna.storages.BaseStorage:
    from assay.search.storage.opening import open_storage  # here for the same reason

    storage = open_storage(store_paths.storage, wait_for_server=True)
    stack.callback(storage.close)
    storage.on_wait = display.log
    return storage


# Stage 4: open the stores.


@dataclass(frozen=True)
class _Opening:
    """What is known of a sweep before its stores are open."""

    study: str
    preflight: Preflight
    request: SweepRequest
    store_paths: StorePaths
    display: Display
    execution: Execution

    @property
    def experiment(self) -> Experiment:
        """What is searched, as the preflight check has completed it."""
        return self.preflight.experiment


def _open_stores(
    stack: ExitStack,
    opening: _Opening,
    storage: optuna.storages.BaseStorage | None,
    executor: Executor,
    tracker: MlflowTracker,
) -> SweepContext:
    """Lock the study, open it in Optuna, and let the tracker write.

    Raises:
        RequestError: another sweep runs the study, the study is not the one that is asked for, or a
            store can't be reached.
    """
    study, request, store_paths = opening.study, opening.request, opening.store_paths
    instance = acquire_instance(stack, store_paths, study)
    # Registered again, after the lock: the tracker must stop before the lock is released.
    stack.callback(tracker.shut_down)
    journal_file = store_paths.workspace.journal(study, instance)
    tracker.set_journal(journal_file)

    batching, study_request = _identify_study(opening, storage, journal_file)
    update_home_addresses(store_paths.workspace, opening.display)
    ensure_home_id(store_paths.workspace)
    tracker.wait_until_open()
    settle_orphaned_runs(store_paths)
    storage = storage or _open_storage(stack, store_paths, opening.display)
    # For the rest of the sweep: its own lines say what the user needs of what Optuna logs.
    stack.enter_context(quiet_optuna())
    trials = _open_study(storage, study_request)

    experiment = _limit_trials(opening.experiment, trials, opening.display)
    preflight = replace(opening.preflight, experiment=experiment)
    if trials.count_done() < experiment.search.trials:
        # Only now: nothing can be refused any more, and meanwhile the workers have started.
        first = Session(preflight, opening.execution, trials.seed).first_spec(
            experiment.first_configuration()
        )
        preflight = read_built_in_facts(preflight, first, executor)
    checkpoints = (
        Checkpoints(store_paths.workspace.checkpoints(study)) if request.checkpoint else None
    )
    if batching is not None and batching.size > 1 and checkpoints is None:
        executor = LaneExecutor(executor, batching.size)
        opening.display.log(
            f"{experiment.name}: each worker trains up to {batching.size} trials together"
        )
    tags = {COMMAND_TAG: request.command} if request.command else {}
    session = Session(preflight, opening.execution, trials.seed, batching, checkpoints, tags)
    stack.callback(opening.display.on_close)
    return SweepContext(
        study, request, store_paths, instance, trials, tracker, executor, session, opening.display
    )


def _identify_study(
    opening: _Opening, storage: optuna.storages.BaseStorage | None, journal_file: Path
) -> tuple[TrialBatching | None, StudyRequest]:
    """Return how trials are trained together, and the study that is asked for.

    Raises:
        RequestError: the storage has a study of that name that can't be continued.
    """
    record = None if storage is None else _load_record(storage, opening.study)
    fingerprint = None if record is None else record.fingerprint
    batching = choose_batching(opening.execution, opening.experiment, opening.request, fingerprint)
    study_request = make_study_request(
        opening.study,
        opening.experiment,
        opening.request,
        study_fingerprint(opening.preflight, opening.execution, batching),
    )
    if record is not None:
        record.check_fingerprint(study_request.fingerprint)
        if not record.is_shared:
            _check_journal(record, journal_file)
        check_is_recorded_here(opening.store_paths, opening.study, record.study_id)
    return batching, study_request


def _load_record(storage: optuna.storages.BaseStorage, study: str) -> StudyRecord | None:
    from assay.search.study_record import load_study_record  # here, because it imports Optuna

    return load_study_record(storage, study)


def _open_study(storage: optuna.storages.BaseStorage, study_request: StudyRequest) -> StudyTrials:
    from assay.search.study import StudyTrials  # here, because it imports Optuna

    return StudyTrials(storage, study_request)


def make_study_request(
    study: str, experiment: Experiment, request: SweepRequest, fingerprint: Mapping[str, Any]
) -> StudyRequest:
    """Return the study that a sweep asks for."""
    from assay.search.plan import StudyRequest

    return StudyRequest(
        name=study,
        space=experiment.space,
        objectives=experiment.search.goals,
        fingerprint=fingerprint,
        sampler=experiment.search.sampler,
        pruner=experiment.search.pruner,
        epochs=experiment.largest_value("epochs"),
        seed=request.seed,
        sampler_options=experiment.search.read_sampler_options(),
        pruner_options=experiment.search.read_pruner_options(),
        importance=experiment.search.importance,
    )


def _check_journal(record: StudyRecord, journal_file: Path) -> None:
    """Check that this home ran the study.

    Only the journal of that home knows what became of its trials.

    Raises:
        RequestError: it was run from another home, whose supervisor may be running it now.
    """
    is_ours = any(read_sessions([journal_file], record.study_id))
    if not is_ours and record.study.get_trials(deepcopy=False):
        raise RequestError(
            f"study {record.study.study_name!r} lies in this storage but was run from another "
            "home: "
            "name that one with --home, or give this one a --study NAME."
        )


def _limit_trials(experiment: Experiment, trials: StudyTrials, display: Display) -> Experiment:
    """Return the experiment with no more trials than there are configurations left to try."""
    search, left = experiment.search, trials.configurations_left()
    if left is None:
        return experiment
    most = max(1, trials.count_done() + left)
    size = get_sampler(search.sampler).size(experiment.space)
    hint = (
        f"; --trials {most} tries all, this sweep {search.trials}" if search.trials < most else ""
    )
    display.log(f"{experiment.name}: the {search.sampler} has {size:,} configurations{hint}")
    return experiment.with_search(trials=min(search.trials, most))


# Stage 5: search.


def _search_or_skip(context: SweepContext) -> RunStatus:
    """Search, unless the study is done and was closed properly."""
    journals = free_journals(context.store_paths.workspace, context.study, context.instance)
    is_done = context.trials.count_done() >= context.wanted
    if is_done and is_properly_closed(context.trials, context.journal_file, journals):
        if context.request.enqueued:
            context.display.log(
                f"nothing was enqueued: study {context.study!r} is done; add trials with --trials."
            )
        return RunStatus("finished")
    with Journal(context.journal_file) as journal, StopRequest() as stop:
        journal.subscribe(context.tracker.on_event)
        return _search(context, journal, stop)


def _search(context: SweepContext, journal: Journal, stop: StopRequest) -> RunStatus:
    """Recover the study, then search.

    Raises:
        SearchError: the storage failed before there was anything to search.
    """
    trials, session, request = context.trials, context.session, context.request
    trials.stop_waiting_when(stop.__bool__)
    session.show(context.display)
    try:
        trials.run_locked(lambda: _recover_and_enqueue(context, journal))
    except SearchError as error:
        raise SearchError(str(error), stop.exit_code if stop else 1) from error
    context.display.on_open(_initial_state(context))
    search = session.experiment.search
    if search.pruner != "none" and search.goals.by_epoch is None:
        context.display.log(
            "no trial is pruned: pruning needs a single objective that is measured in every epoch"
        )
    journal.subscribe(context.display.on_event)
    plan = session.plan(
        context.wanted,
        model_store_of(context.store_paths.workspace, context.study, context.instance),
        request.timeout_seconds,
        request.failure_policy,
    )
    return supervise(
        plan,
        trials,
        context.executor,
        journal,
        stop,
        on_stop=lambda: context.display.log(_STOPPING),
        closing_tags=lambda: _evaluate(context).tags(_read_importance(context, bool(stop))),
    )


def _evaluate(context: SweepContext) -> StudyEvaluation:
    """Return what the study shows now."""
    # Here, because it imports scipy.
    from assay.experiments.evaluation.study_evaluation import evaluate_study

    return evaluate_study(
        context.trials.study,
        context.session.experiment.search.goals,
        context.store_paths.workspace.journals(context.study),
    )


def is_properly_closed(trials: StudyTrials, own: Path, journals: Iterable[Path]) -> bool:
    """Return whether no supervisor died before it had closed the study.

    Args:
        trials: the study.
        own: the journal of this supervisor.
        journals: the journals of instances that no other supervisor runs now.
    """
    from assay.search.recovery import journal_supervisors  # here, because it imports Optuna

    closed = last_event(own)
    # A study that is done and was closed as interrupted has no best model in MLflow yet.
    is_finished = isinstance(closed, StudyClosed) and closed.closing == "finished"
    return is_finished and all(
        isinstance(last_event(journal), StudyClosed)
        and not trials.stale_trials(journal_supervisors(journal))
        for journal in journals
    )


def _recover_and_enqueue(context: SweepContext, journal: Journal) -> None:
    """Recover what earlier supervisors left, then queue what comes before the sampler's trials."""
    from assay.search.recovery import (
        enqueue_follow_ups,
        journal_supervisors,
        recover,
    )  # they import Optuna

    trials, session, request = context.trials, context.session, context.request
    home = context.store_paths.workspace.path
    journal.append(session.study_opened(context.study, trials.study_id, home, trials.supervisor))
    recover(trials, journal, session.hyperparameters)
    dead = journal_supervisors(journal.path)
    dead |= recover_other_instances(
        context.store_paths, context.study, context.instance, trials, session.hyperparameters
    )
    if trials.count_done() < context.wanted:
        if again := enqueue_follow_ups(trials, request.failure_policy, dead):
            _log_retries(context, again)
        enqueue_known(
            trials, session.experiment, request, session.inputs, session.execution.workers
        )
    if trials.is_shared:
        # A supervisor that opens the study next must find its run, or it would create another.
        context.tracker.wait_for_parent_run(_PARENT_RUN_SECONDS)


def _log_retries(context: SweepContext, retries: int) -> None:
    trials = "1 trial" if retries == 1 else f"{retries} trials"
    how = "is done again" if retries == 1 else "are done again"
    if context.session.checkpoints is not None:
        how = "resumes from its checkpoint" if retries == 1 else "resume from their checkpoints"
    context.display.log(f"{context.study}: {trials} of an earlier sweep {how}")


def enqueue_known(
    trials: StudyTrials,
    experiment: Experiment,
    request: SweepRequest,
    inputs: Inputs | None,
    workers: int,
) -> None:
    """Queue the user's configurations, then the baselines, the longest of each first."""
    for origin, configurations in (
        ("enqueued", request.enqueued),
        ("baseline", experiment.baseline_configurations()),
    ):
        trials.enqueue(longest_first(configurations, experiment, inputs, workers), origin)


def _initial_state(context: SweepContext) -> SweepState:
    objectives = context.session.experiment.search.goals
    best_trials = ParetoFront(objectives, context.trials.best_trials())
    return SweepState(
        study=context.study,
        experiment=context.session.experiment,
        execution=context.session.execution,
        done=context.trials.count_done(),
        best_trials=best_trials,
        wanted=context.wanted,
        # Of several objectives, displays show the size of the front alone.
        restored_epochs=_read_restored_epochs(context, best_trials.values)
        if objectives.single is not None
        else {},
    )


def _read_restored_epochs(context: SweepContext, numbers: Iterable[int]) -> dict[int, int]:
    """Return the epochs that early stopping kept in trials of earlier sweeps."""
    journals = context.store_paths.workspace.journals(context.study)
    epochs = {}
    for number in numbers:
        training = read_training(journals, context.trials.study_id, number)
        if training is not None and training.restored_epoch is not None:
            epochs[number] = training.restored_epoch
    return epochs


# Stage 6: close.


def _close(context: SweepContext, status: RunStatus) -> RunStatus:
    """End the workers, and wait until MLflow has everything; return the status with the outcome."""
    context.executor.close()
    context.display.on_close()
    is_interrupted = status.closing == "interrupted"
    untracked = context.tracker.close(is_interrupted, context.display.log)
    if untracked is None and not is_interrupted:
        track_other_instances(context.store_paths, context.study, context.instance)
    return replace(status, untracked=untracked)


def _remove_checkpoints(context: SweepContext, status: RunStatus) -> None:
    """Remove the study's checkpoints, unless a supervisor resumes trials from them, now or later.

    Raises:
        SearchError: the storage is away.
    """
    workspace = context.store_paths.workspace
    is_done = status.closing == "finished" and context.trials.count_done() >= context.wanted
    if is_done and is_only_instance(workspace, context.study, context.instance):
        Checkpoints(workspace.checkpoints(context.study)).delete()


# Stage 7: read the result.


def _read_result(context: SweepContext, status: RunStatus, seconds: float) -> SweepResult:
    """Read what the study has now.

    Raises:
        SearchError: the storage is away.
    """
    trials = context.trials
    search = context.session.experiment.search
    return SweepResult(
        status=status,
        study=context.study,
        experiment=context.session.experiment.name,
        tracking_uri=mask_secrets(context.store_paths.tracking_uri),
        parent_run_id=context.tracker.parent_run_id,
        seconds=seconds,
        trials=trials.count_by_state(),
        objectives=search.goals,
        best_trials=[
            RankedTrial(
                number,
                values,
                trials.decode_params(trials.get_trial(number)),
                context.tracker.find_run_id(number),
                context.tracker.find_model(number, on_parent=search.goals.single is not None),
            )
            for number, values in trials.best_trials().items()
        ],
        importance=_read_importance(context, status.closing == "interrupted"),
        wanted=context.wanted,
        exhausted=not trials.has_next(),
        preflight=_preflight_record(context),
        evaluation=_evaluate(context),
    )


def _read_importance(context: SweepContext, is_interrupted: bool) -> Mapping[str, ImportanceReport]:
    # Here, because it imports Optuna's samplers.
    from assay.search.importances import interrupted_importances

    if not is_interrupted:
        return context.importance
    # Some evaluators take long: a user who asked to stop need not wait for them.
    search = context.session.experiment.search
    return interrupted_importances(context.trials.study, search.importance, search.goals)


def _preflight_record(context: SweepContext) -> Mapping[str, Any]:
    """Return what was understood; of a study that was done already, when it was last opened."""
    preflight = context.session.preflight
    if preflight.model is None:
        sessions = list(read_sessions([context.journal_file], context.trials.study_id))
        if sessions:
            return read_preflight(sessions[-1]) or preflight.to_record()
    return preflight.to_record()
