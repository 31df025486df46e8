"""Finalize: train the best configurations again on fresh seeds, and open the test set once.

`finalize` goes through seven stages, each a function below it:

1. plan: read the study, and choose the configurations, or those of the finalize to go on with;
2. start the workers and the tracker;
3. prepare the data, the device and the user's model, and compare them with the study's;
4. open the stores: lock the study, and let the tracker write;
5. train every configuration with every seed, by the supervisor of a sweep;
6. test: record the opening of the test set, then measure every network on it;
7. save the network that is to be registered, judge, close and read the result.

All of it is in a journal of its own, which the tracker passes on to MLflow like that of a sweep.
After a death anywhere the same command goes on: a training that ended is not done again, and the
test set is opened once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.experiments.config.experiment import Experiment
from assay.experiments.config.recorded import restore_experiment
from assay.experiments.config.request import FinalizeRequest
from assay.experiments.decision.files import (
    delete_networks,
    find_network,
    find_test_files,
    network_file,
    predictions_file,
    report_file,
)
from assay.experiments.decision.finalists import (
    Trainings,
    choose_finalists,
    count_unbegun_baselines,
    judged_objective,
    plan_options,
)
from assay.experiments.decision.outcome import Evaluation, evaluate
from assay.experiments.decision.registration import choose_network, describe_network
from assay.experiments.decision.sentences import (
    describe_evaluation,
    describe_level,
    to_full_record,
)
from assay.experiments.decision.testing import (
    TestJob,
    measure,
    save_network,
    write_test_report,
)
from assay.experiments.formatting import format_count, format_ordinal
from assay.experiments.results.finalizes import (
    FinalizeRecord,
    Training,
    planned_trainings,
    read_finalizes,
)
from assay.experiments.results.listing import list_studies, unknown_study_error
from assay.experiments.run.execution import Execution
from assay.experiments.run.preflight import Preflight, check_custom_model, confirm_device
from assay.experiments.run.progress import Display, SweepState
from assay.experiments.run.provenance import study_fingerprint
from assay.experiments.run.result import RunStatus
from assay.experiments.run.session import Session, prepare_data
from assay.experiments.run.study_locks import (
    check_is_free,
    lock_all_instances,
    track_journal,
    update_home_addresses,
)
from assay.experiments.tracking.cursor import Cursor
from assay.experiments.tracking.follower import MlflowTracker
from assay.experiments.tracking.home_id import check_is_recorded_here
from assay.experiments.tracking.lookup import StudyRunIds, find_study_runs
from assay.experiments.tracking.schema import COMMAND_TAG, RegisteredVersion
from assay.experiments.workspace import StorePaths, journal_names
from assay.models.data import RecordedOpening
from assay.models.errors import DamagedFile, RequestError, SearchError
from assay.models.files import make_folder
from assay.models.seeding import derive_seed
from assay.search.artifacts import Checkpoints, ModelStore
from assay.search.events import (
    FinalizeJudged,
    FinalizePlan,
    Registration,
    StudyClosed,
    StudyOpened,
    TestSetOpened,
    TrialEnded,
)
from assay.search.failure_policy import FailurePolicy
from assay.search.history import read_sessions
from assay.search.journal import Journal, read_events
from assay.search.objective import Objectives, ParetoFront
from assay.search.optuna_messages import quiet_optuna
from assay.search.plan import SearchPlan, TrialSetup
from assay.search.supervisor import Supervisor
from assay.search.system.signals import StopRequest
from assay.search.system.urls import mask_secrets, store_exists
from assay.search.workers.local_executor import LocalExecutor
from assay.search.workers.protocol import Trial

if TYPE_CHECKING:
    from assay.search.study_record import StudyRecord

_FLUSH_SECONDS = 60.0
_STOPPING = "stopping: running trainings will be done again by the same command"
_UNFUSED = ("fuse", "order_seed")


@dataclass(frozen=True)
class FinalizeResult:
    """How a finalize ended, and what it found.

    Attributes:
        status: how it ended.
        study: name of the study.
        tracking_uri: MLflow's store, without its password.
        evaluation: what it found so far.
        runs: ids of the trainings' runs in MLflow, by their number.
        registered: the model version that it registered, or why it registered none; None before
            its end.
        seconds: wall time.
    """

    status: RunStatus
    study: str
    tracking_uri: str
    evaluation: Evaluation
    runs: Mapping[int, str]
    registered: RegisteredVersion | str | None
    seconds: float

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "study": self.study,
            **to_full_record(self.evaluation, self.runs, self.registered),
            "tracking_uri": self.tracking_uri,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class _StudyToFinalize:
    """What the stages know of the study.

    Attributes:
        name: its name.
        study_id: its id.
        experiment: as the study was last opened with.
        fingerprint: what its trials have in common.
        objectives: of the study.
        plan: what is trained.
        record: what earlier sessions of this finalize did; None if it is new.
        first_number: number of the next training.
        journal_bytes: size of the finalize journal when it was read.
        unbegun_baselines: number of baselines that are not trained, because no trial of them began.
        other_openings: how often other studies of this home opened the same test set, by name.
    """

    name: str
    study_id: str
    experiment: Experiment
    fingerprint: Mapping[str, Any]
    objectives: Objectives
    plan: FinalizePlan
    record: FinalizeRecord | None
    first_number: int
    journal_bytes: int
    unbegun_baselines: int
    other_openings: Mapping[str, int]


def finalize(
    study: str, request: FinalizeRequest, store_paths: StorePaths, display: Display
) -> FinalizeResult:
    """Train the best configurations of a study again, and measure them on the test set.

    Args:
        study: name of the study.
        request: how many configurations and seeds, and what they train on.
        store_paths: home and both stores.
        display: shows the progress.

    Raises:
        RequestError: the request can't be met.
        SearchError: a store failed before the first training.
    """
    began = time.monotonic()
    check_is_free(store_paths, study, otherwise="")
    planned = _plan(study, request, store_paths)
    execution = _choose_execution(request, planned.fingerprint)
    with ExitStack() as stack:
        executor, tracker = _start_processes(stack, planned, execution, store_paths)
        sessions = _prepare(planned, request, store_paths, display, execution, executor)
        _open_stores(stack, planned, store_paths, tracker, display)
        for line in _announce(planned):
            display.log(line)
        journal_file = store_paths.workspace.finalize_journal(study)
        with Journal(journal_file) as journal, StopRequest() as stop:
            journal.subscribe(tracker.on_event)
            context = _Context(
                planned, sessions, store_paths, tracker, executor, display, request.failure_policy
            )
            status = _work(context, journal, stop)
        executor.close()
        untracked = tracker.close(status.closing == "interrupted", display.log)
        if untracked is None:
            delete_networks(context.folder)
        runs = StudyRunIds() if untracked is not None else _find_runs(context)
        evaluation = _evaluate(context, _read_gap(request, planned.experiment))
        return FinalizeResult(
            status=replace(status, untracked=untracked),
            study=study,
            tracking_uri=mask_secrets(store_paths.tracking_uri),
            evaluation=evaluation,
            runs=runs.trainings,
            registered=_read_registered(request, evaluation, runs)
            if status.closing == "finished"
            else None,
            seconds=time.monotonic() - began,
        )


def _find_runs(context: _Context) -> StudyRunIds:
    try:
        return find_study_runs(context.store_paths, context.planned.study_id)
    except RequestError:
        return StudyRunIds()  # the work is done; what it found must not wait for a server


def _read_registered(
    request: FinalizeRequest, evaluation: Evaluation, runs: StudyRunIds
) -> RegisteredVersion | str:
    """Return what this finalize registered, or why it registered nothing."""
    if not request.register:
        return "--no-register"
    registered = runs.registered
    is_earlier = (
        isinstance(registered, RegisteredVersion) and registered.opening != evaluation.opening
    )
    if registered is None or is_earlier:
        return "MLflow does not have it yet; 'assay doctor --fix' records what is missing"
    return registered


def _read_gap(request: FinalizeRequest, experiment: Experiment) -> float | None:
    """Return the gap in the unit of the test metric: accuracy is a share, not points."""
    if request.gap is None or experiment.task == "regression":
        return request.gap
    return request.gap / 100


# Stage 1: plan.


def _plan(study: str, request: FinalizeRequest, store_paths: StorePaths) -> _StudyToFinalize:
    """Return what is trained.

    Raises:
        RequestError: there is no such study, or nothing in it can be finalized.
    """
    record = _load_record(study, store_paths)
    workspace = store_paths.workspace
    opened = _last_opened(study, record.study_id, store_paths)
    experiment = restore_experiment(opened, workspace.path)
    from assay.search.study_record import objectives_of  # here, because it imports Optuna

    objectives = objectives_of(record.study)
    judged_objective(objectives)
    gap = _read_gap(request, experiment)
    if gap is not None and gap >= 1 and experiment.task == "classification":
        raise RequestError(
            f"--gap of an accuracy must be below 100 points; received {request.gap:g}."
        )
    journal_file = workspace.finalize_journal(study)
    journal_bytes = _count_bytes(journal_file)
    earlier = read_finalizes(journal_file, record.study_id)
    unfinished = earlier[-1] if earlier and earlier[-1].judged is None else None
    plan = FinalizePlan(
        opening=len([one for one in earlier if one.judged is not None]) + 1,
        top=request.top,
        seeds=request.seeds,
        splits=request.splits,
        seed=derive_seed(record.seed, study),
        finalists=choose_finalists(record, request.top),
        register=request.register,
    )
    if unfinished is not None and unfinished.test_set_opened is not None:
        plan = _continue_plan(study, plan, unfinished.plan)
    numbers = (number for one in earlier for number in one.trainings)
    return _StudyToFinalize(
        name=study,
        study_id=record.study_id,
        experiment=experiment,
        fingerprint=record.fingerprint or {},
        objectives=objectives,
        plan=plan,
        record=unfinished,
        first_number=max(numbers, default=-1) + 1,
        journal_bytes=journal_bytes,
        unbegun_baselines=count_unbegun_baselines(record),
        other_openings=_count_other_openings(study, opened.data.get("digest"), store_paths),
    )


def _count_other_openings(study: str, digest: object, store_paths: StorePaths) -> dict[str, int]:
    """Return how often other studies of this home opened a test set, by their names.

    Args:
        study: name of the study.
        digest: of its data.
        store_paths: where the journals are.
    """
    counts: Counter[str] = Counter()
    for other in journal_names(store_paths.workspace):
        is_same = False
        journal = store_paths.workspace.finalize_journal(other)
        # A damaged journal of another study is that study's matter.
        with suppress(DamagedFile):
            for event, _ in read_events(journal, only=[StudyOpened, TestSetOpened]):
                if isinstance(event, StudyOpened):
                    is_known = digest is not None and other != study
                    is_same = is_known and event.data.get("digest") == digest
                elif is_same:
                    counts[other] += 1
    return dict(counts)


def _count_bytes(journal: Path) -> int:
    return journal.stat().st_size if journal.exists() else 0


def _load_record(study: str, store_paths: StorePaths) -> StudyRecord:
    if store_exists(store_paths.storage):
        # Here, because they import Optuna.
        from assay.search.storage.opening import open_storage
        from assay.search.study_record import load_study_record

        with quiet_optuna():
            record = load_study_record(open_storage(store_paths.storage), study)
        if record is not None:
            return record
    raise unknown_study_error(study, list_studies(store_paths))


def _last_opened(study: str, study_id: str, store_paths: StorePaths) -> StudyOpened:
    sessions = list(read_sessions(store_paths.workspace.journals(study), study_id))
    if not sessions:
        raise RequestError(
            f"study {study!r} must have been run from this home to be finalized: it has no journal "
            "here; name its home with --home."
        )
    return max(sessions, key=lambda session: session.time)


def _continue_plan(study: str, asked: FinalizePlan, known: FinalizePlan) -> FinalizePlan:
    """Return the plan of a finalize that has opened the test set.

    Raises:
        RequestError: another one is asked for.
    """
    if (asked.top, asked.seeds, asked.splits) != (known.top, known.seeds, known.splits):
        raise RequestError(
            f"the last finalize of {study!r} was interrupted after it opened the test set: end it "
            f"first with {' '.join(plan_options(known))}."
        )
    return replace(known, register=asked.register)


def _choose_execution(request: FinalizeRequest, fingerprint: Mapping[str, Any]) -> Execution:
    """Return the execution; backend and precision are those of the study if not asked for."""
    asked = request.execution
    chosen = replace(
        asked,
        backend=asked.backend or fingerprint.get("backend"),
        precision=request.precision or str(fingerprint.get("precision", "float32")),
    )
    return Execution.choose(chosen, request.workers)


# Stage 2: start.


def _start_processes(
    stack: ExitStack, planned: _StudyToFinalize, execution: Execution, store_paths: StorePaths
) -> tuple[LocalExecutor, MlflowTracker]:
    workspace = store_paths.workspace
    executor = stack.enter_context(execution.executor(workspace))
    folder = workspace.finalists(planned.name)
    tracker = MlflowTracker(
        workspace.finalize_journal(planned.name),
        store_paths.tracking_uri,
        workspace.artifacts,
        user_store=None if planned.experiment.family.factory is None else workspace.user_mlflow,
        find_model=lambda number: find_network(folder, number),
        find_test_files=lambda number: find_test_files(folder, number),
    )
    stack.callback(tracker.shut_down)
    tracker.start()
    return executor, tracker


# Stage 3: prepare.


def _prepare(
    planned: _StudyToFinalize,
    request: FinalizeRequest,
    store_paths: StorePaths,
    display: Display,
    execution: Execution,
    executor: LocalExecutor,
) -> Mapping[int | None, Session]:
    """Prepare data, device and model.

    Returns:
        The session of each training, by its seed with `--splits`; else one by None.

    Raises:
        RequestError: one of them can't be had, or is not that of the study.
    """
    display.log(f"{planned.name}: preparing the data and starting the workers")
    experiment = planned.experiment
    data = prepare_data(experiment, store_paths)
    execution = confirm_device(execution, executor)
    checkpoints = Checkpoints(store_paths.workspace.finalists(planned.name))
    session = Session(
        Preflight(experiment, data),
        execution,
        planned.plan.seed,
        checkpoints=checkpoints,
        tags={COMMAND_TAG: request.command} if request.command else {},
    )
    spec = session.first_spec(planned.plan.finalists[0].searched)
    spec = {name: value for name, value in spec.items() if name != "checkpoint"}
    preflight = check_custom_model(session.preflight, spec, executor, display)
    session = replace(session, preflight=preflight)
    _check_fingerprint(planned, session)
    if not planned.plan.splits:
        return {None: session}
    seeds = [training.seed for training in planned_trainings(planned.plan)]
    return {seed: _with_split(session, seed, store_paths) for seed in seeds}


def _check_fingerprint(planned: _StudyToFinalize, session: Session) -> None:
    """Check that the trainings are those of the study, but for their seeds.

    Raises:
        RequestError: something differs.
    """
    from assay.search.study_record import compare_fingerprints  # here, because it imports Optuna

    # Trials that were trained together had one batch order; each training has its own.
    batching = {name: planned.fingerprint[name] for name in _UNFUSED if name in planned.fingerprint}
    found = study_fingerprint(session.preflight, session.execution)
    compare_fingerprints(
        planned.name,
        planned.fingerprint,
        {**found, **batching},
        otherwise="finalize trains as the study did; restore that, or sweep another study",
    )


def _with_split(session: Session, seed: int, store_paths: StorePaths) -> Session:
    """Return a session whose validation split is drawn with another seed.

    Raises:
        RequestError: the data have a validation set of their own.
    """
    experiment = session.experiment.with_fixed({"data.split_seed": seed})
    data = prepare_data(experiment, store_paths)
    file = "x_validation.npy"
    if data.file_digests[file] == session.data.file_digests[file]:
        raise RequestError(
            "--splits draws the validation split anew: these data have a validation set of their "
            "own; leave it out."
        )
    return replace(session, preflight=replace(session.preflight, experiment=experiment, data=data))


# Stage 4: open the stores.


def _open_stores(
    stack: ExitStack,
    planned: _StudyToFinalize,
    store_paths: StorePaths,
    tracker: MlflowTracker,
    display: Display,
) -> None:
    """Lock the study, and let the tracker write.

    Raises:
        RequestError: another process runs the study, or a store can't be reached.
    """
    lock_all_instances(stack, store_paths, planned.name)
    # The plan was made before the lock was held.
    journal = store_paths.workspace.finalize_journal(planned.name)
    if _count_bytes(journal) != planned.journal_bytes:
        raise RequestError(
            f"study {planned.name!r} was finalized by another process meanwhile: run the same "
            "command again to finalize it once more."
        )
    check_is_recorded_here(store_paths, planned.name, planned.study_id)
    # Registered again, after the lock: the tracker must stop before the lock is released.
    stack.callback(tracker.shut_down)
    update_home_addresses(store_paths.workspace, display)
    # Its parent run must be there before the first finalist's.
    for journal in store_paths.workspace.journals(planned.name):
        if journal.exists():
            cursor = Cursor(journal.with_suffix(".tracked"), store_paths.tracking_uri)
            if cursor.offset < journal.stat().st_size:
                track_journal(journal, store_paths)
    tracker.wait_until_open()
    stack.enter_context(quiet_optuna())
    stack.callback(display.on_close)


def _announce(planned: _StudyToFinalize) -> Iterator[str]:
    """Yield what the user should know before anything is trained."""
    plan, record = planned.plan, planned.record
    if plan.opening > 1 and (record is None or record.test_set_opened is None):
        yield (
            f"warning: {planned.name} is finalized already ('assay show' has the verdicts): after "
            f"the trainings its test set is opened for the {format_ordinal(plan.opening)} time, "
            f"and verdicts are judged at {describe_level(plan.opening)}"
        )
    if planned.other_openings:
        others = ", ".join(
            f"{name} {format_count(times, 'time')}"
            for name, times in planned.other_openings.items()
        )
        yield (
            f"warning: other studies of this home have opened the same test set ({others}), which "
            "the level of these verdicts does not count"
        )
    if planned.unbegun_baselines:
        yield (
            f"warning: {format_count(planned.unbegun_baselines, 'baseline')} of the study did not "
            "begin, so finalize does not train them: sweep on first"
        )
    if len(plan.finalists) == 1:
        yield (
            "warning: only one configuration is trained again, so there is nothing to compare it "
            "with: raise --top"
        )


# Stages 5 to 7.


@dataclass(frozen=True)
class _Context:
    """What the stages share once the stores are open."""

    planned: _StudyToFinalize
    sessions: Mapping[int | None, Session]
    store_paths: StorePaths
    tracker: MlflowTracker
    executor: LocalExecutor
    display: Display
    failure_policy: FailurePolicy

    @property
    def folder(self) -> Path:
        """Folder of the networks and the predictions."""
        return self.store_paths.workspace.finalists(self.planned.name)

    def session(self, seed: int) -> Session:
        """Return the session of a training."""
        return self.sessions.get(seed) or self.sessions[None]

    def setup(self, trial: Trial) -> TrialSetup:
        """Return what a training is trained with."""
        return self.session(trial.seed).setup(trial)

    def test_job(self, training: Training) -> TestJob:
        """Return the measurement of a training."""
        number = training.begun.trial
        file = predictions_file(self.folder, number)
        make_folder(file.parent)
        journal = self.store_paths.workspace.finalize_journal(self.planned.name)
        opening = RecordedOpening(str(journal.absolute()), self.planned.plan.opening)
        return TestJob(number, self.spec(training), opening, file)

    def spec(self, training: Training) -> Mapping[str, Any]:
        """Return the specification of a training, with its checkpoint."""
        begun = training.begun
        trial = Trial(
            begun.trial, begun.searched, begun.seed, begun.origin, finalist=begun.finalist
        )
        return self.setup(trial).spec

    def read_record(self) -> FinalizeRecord:
        """Return what the journal has of this finalize."""
        journal = self.store_paths.workspace.finalize_journal(self.planned.name)
        return read_finalizes(journal, self.planned.study_id)[-1]


def _work(context: _Context, journal: Journal, stop: StopRequest) -> RunStatus:
    """Train, test and judge; close the finalize in the journal, whatever happens."""
    with _closing(journal, stop) as ending:
        _open_finalize(context, journal)
        _train(context, journal, stop)
        if not stop:
            _test(context, journal, stop)
        if not stop:
            _judge(context, journal, stop)
    if ending.status.closing == "finished":
        Checkpoints(context.folder).delete()
    return ending.status


@dataclass
class _Ending:
    status: RunStatus


@contextmanager
def _closing(journal: Journal, stop: StopRequest) -> Iterator[_Ending]:
    """Yield an object that has the status after the block; the journal is closed by then."""
    ending = _Ending(RunStatus("failed", search_exit_code=1))
    try:
        yield ending
        ending.status = RunStatus("finished")
    except SearchError as error:
        ending.status = RunStatus("failed", str(error), error.exit_code)
    except BaseException:
        # The exception says more than a second failure would.
        with suppress(Exception):
            journal.append(StudyClosed(closing="failed"))
        raise
    if stop:
        ending.status = RunStatus("interrupted", search_exit_code=stop.exit_code)
    journal.append(StudyClosed(closing=ending.status.closing))


def _open_finalize(context: _Context, journal: Journal) -> None:
    """Record what is trained, and what a death has interrupted."""
    planned = context.planned
    session = next(iter(context.sessions.values()))
    home = context.store_paths.workspace.path
    opened = session.study_opened(planned.name, planned.study_id, home)
    journal.append(replace(opened, finalize=planned.plan))
    if planned.record is None:
        return
    for number, training in planned.record.trainings.items():
        if training.end is None:
            journal.append(TrialEnded(trial=number, state="failed", reason="interrupted"))


def _train(context: _Context, journal: Journal, stop: StopRequest) -> None:
    """Train what is not trained yet.

    Raises:
        SearchError: workers can't be started, or a store failed.
    """
    planned = context.planned
    trainings = Trainings(
        planned.plan, planned.record, planned.first_number, context.failure_policy
    )
    session = next(iter(context.sessions.values()))
    state = SweepState(
        study=f"{planned.name}: finalize",
        experiment=planned.experiment,
        execution=session.execution,
        done=trainings.count_done(),
        best_trials=ParetoFront(planned.objectives),
        wanted=trainings.total,
        is_finalize=True,
    )
    context.display.on_open(state)
    journal.subscribe(context.display.on_event)
    plan = SearchPlan(
        trials=trainings.total,
        objectives=planned.objectives,
        setup=context.setup,
        model_store=ModelStore(context.folder),
        # A configuration may fail on every seed; that says nothing of the others.
        failure_policy=replace(context.failure_policy, max_failures=trainings.total + 1),
        # None: a checkpoint is kept until its network is measured.
        checkpoints=None,
    )
    Supervisor(plan, trainings, context.executor, journal, stop).run()
    context.display.on_close()
    if stop:
        context.display.log(_STOPPING)


def _test(context: _Context, journal: Journal, stop: StopRequest) -> None:
    """Open the test set, and measure the networks on it.

    Raises:
        SearchError: there is no network, or MLflow does not have the record of the opening.
    """
    record, planned = context.read_record(), context.planned
    evaluation = _evaluate(context)
    if evaluation.leader is None:
        raise SearchError(
            "no configuration could be trained, so the test set stays closed; the first one: "
            f"{_first_failure(evaluation)}."
        )
    # Before the opening is recorded: a mistake in them must not spend it.
    jobs = [
        context.test_job(training)
        for training in record.ended_by_seed().values()
        if training.is_complete and (training.tested is None or training.is_unmeasured)
    ]
    if record.test_set_opened is None:
        measured = [one.trial for one in evaluation.finalists if one.validation is not None]
        journal.append(
            TestSetOpened(
                opening=planned.plan.opening, leader=evaluation.leader, trials=tuple(measured)
            )
        )
    # The study's own run says that the test set was opened before anything reads it.
    if (reason := context.tracker.flush(_FLUSH_SECONDS)) is not None:
        raise SearchError(
            f"MLflow has no record yet that the test set is opened ({reason}), so it stays closed: "
            "run the same command again."
        )
    context.display.log(_describe_opening(planned.plan.opening))
    for tested in measure(context.executor, jobs, stop.__bool__):
        if tested.error is None and planned.experiment.task == "classification":
            write_test_report(
                predictions_file(context.folder, tested.trial),
                report_file(context.folder, tested.trial),
                next(iter(context.sessions.values())).data.classes,
            )
        journal.append(tested)


def _describe_opening(opening: int) -> str:
    if opening == 1:
        return "the test set is opened: every network is measured on it once"
    return (
        f"the test set is opened for the {format_ordinal(opening)} time: verdicts are judged at "
        f"{describe_level(opening)}, because it has been looked at before"
    )


def _judge(context: _Context, journal: Journal, stop: StopRequest) -> None:
    """Save the network that is to be registered, and record the verdicts.

    Raises:
        SearchError: no network could be measured.
    """
    evaluation = _evaluate(context, is_judging=True)
    if evaluation.examples is None or evaluation.leader is None:
        raise SearchError(
            "no network could be measured on the test set; the first one: "
            f"{_first_failure(evaluation)}; the same command tries again."
        )
    registration = (
        _save_leader(context, evaluation, stop) if context.planned.plan.register else None
    )
    if stop:
        return  # the same command saves it and judges
    journal.append(
        FinalizeJudged(
            opening=evaluation.opening,
            leader=evaluation.leader,
            verdicts={str(one.trial): one.verdict for one in evaluation.finalists},
            registration=registration,
            text=tuple(describe_evaluation(evaluation)),
        )
    )


def _save_leader(
    context: _Context, evaluation: Evaluation, stop: StopRequest
) -> Registration | None:
    """Save the network of the leader that is best on validation; return its registration."""
    # Before the verdicts are recorded: with them the finalize has ended, and its checkpoints go.
    objectives = context.planned.objectives
    training = choose_network(context.read_record(), evaluation, objectives)
    if training is None:
        return None
    number = training.begun.trial
    if all(one.test is None for one in evaluation.finalists if one.is_leader):
        return Registration(number, "none of the leader's networks could be measured")
    file = network_file(context.folder, number)
    make_folder(file.parent)
    unsaved = save_network(context.executor, number, context.spec(training), file, stop.__bool__)
    if unsaved is not None:
        return Registration(number, f"the network of training {number} can't be saved: {unsaved}")
    return describe_network(context.planned.name, evaluation, training, objectives)


def _first_failure(evaluation: Evaluation) -> str:
    failures = (label for one in evaluation.finalists for label in one.failed)
    return next(failures, "nothing has ended")


def _evaluate(context: _Context, gap: float | None = None, is_judging: bool = False) -> Evaluation:
    planned = context.planned
    return evaluate(
        context.read_record(),
        context.folder,
        planned.objectives,
        planned.experiment.task,
        gap,
        is_judging,
    )
