"""Outages of a server in the middle of a sweep.

The servers are a real MLflow and a real PostgreSQL.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from mlflow import MlflowClient

from assay.experiments.results.listing import load_optuna_study
from assay.experiments.tracking.lookup import find_study_runs
from assay.search.events import TrialEnded
from assay.search.history import read_history
from assay.search.journal import read_events
from assay.search.storage.stored_values import SEED, STUDY_ID
from tests.chaos import cases
from tests.chaos.cases import STUDY, Seen, home, sweep
from tests.chaos.points import Point
from tests.chaos.sessions import Sessions, Zygote, is_alive
from tests.chaos.verdict import Verdict, ended_well, judge
from tests.helpers.mlflow_server import MlflowServer
from tests.helpers.postgresql import PostgreSQL, missing

_EPOCH_SECONDS = 0.25  # a trial takes a second, so that the sweep is longer than the outage
_BEFORE, _AFTER = 6, 6  # trials before and after the outage
_WORKERS = 2


def mlflow(zygote: Zygote, lengths: Iterable[float]) -> Iterator[Seen]:
    """Kill the MLflow server and restart it, or freeze and continue it.

    A frozen server accepts connections but does not answer.
    """
    with MlflowServer() as server:
        for seconds in lengths:
            for how, leave, come_back in (
                ("killed", server.kill, server.start),
                ("frozen", server.freeze, server.go_on),
            ):
                with home(
                    zygote, tracking_uri=server.uri, epoch_seconds=_EPOCH_SECONDS
                ) as sessions:
                    yield _outage(
                        f"MLflow {how}", sessions, seconds, leave, come_back, goes_on=True
                    )


def postgresql(zygote: Zygote, lengths: Iterable[float]) -> Iterator[Seen]:
    """Stop PostgreSQL as a power cut would, and restart it."""
    if (why := missing()) is not None:
        yield Seen("PostgreSQL stopped", why, Verdict(told=("was not tried",)))
        return
    with PostgreSQL() as server:
        for seconds in lengths:
            with home(zygote, storage=server.new(), epoch_seconds=_EPOCH_SECONDS) as sessions:
                yield _outage(
                    "PostgreSQL stopped",
                    sessions,
                    seconds,
                    server.stop,
                    server.start,
                    goes_on=False,
                )


def points(zygote: Zygote, chosen: Iterable[Point]) -> Iterator[Seen]:
    """Run `cases.points` on a study on PostgreSQL."""
    if (why := missing()) is not None:
        yield Seen("points on PostgreSQL", why, Verdict(told=("was not tried",)))
        return
    with PostgreSQL() as server:
        for seen in cases.points(zygote, chosen, storage=server.new):
            yield dataclasses.replace(seen, case=f"on PostgreSQL: {seen.case}")


def _outage(
    what: str,
    sessions: Sessions,
    seconds: float,
    leave: Callable[[], None],
    come_back: Callable[[], None],
    goes_on: bool,
) -> Seen:
    trials = _BEFORE + _AFTER + goes_on * int(_WORKERS * seconds / (4 * _EPOCH_SECONDS))
    pid = sessions.start(*sweep(trials, _WORKERS, "--pruner", "none"))
    until(sessions, pid, _BEFORE)
    before = len(ended_well(sessions.home, STUDY))
    began, left_at = time.monotonic(), time.time()
    leave()
    time.sleep(max(0.0, seconds - (time.monotonic() - began)))
    meanwhile, away = len(ended_well(sessions.home, STUDY)) - before, time.monotonic() - began
    come_back()
    finished = ended_well(sessions.home, STUDY)
    status = sessions.wait(pid)
    verdict = judge(sessions, STUDY, finished)
    verdict.told = (*verdict.told, *_miscounted(sessions, trials), *_doubled(sessions))
    if status != 0:
        verdict.told = (
            *verdict.told,
            f"exit status {status}: {sessions.errors.read_text()[-500:]}",
        )
    if goes_on and seconds > 5 and meanwhile == 0:
        verdict.told = (*verdict.told, "no trial ended during the outage")
    did = f"{trials} trials, {meanwhile} of them during the outage of {away:.1f} s"
    if goes_on and seconds:
        otherwise = _pace(sessions, left_at, left_at + away)
        did += f": {meanwhile / away:.2f} per second, and {otherwise:.2f} outside of it"
    return Seen(f"{what} for {seconds:g} s", did, verdict)


def _pace(sessions: Sessions, start: float, end: float) -> float:
    """Return the trials per second outside of an outage.

    Args:
        sessions: sessions of the home.
        start: start of the outage, in Unix time.
        end: end of the outage.
    """
    ends = [
        event.time
        for event, _ in read_events(
            sessions.store_paths.workspace.journal(STUDY), only=[TrialEnded]
        )
    ]
    outside = [at for at in ends if not start <= at <= end]
    before, after = [at for at in outside if at < start], [at for at in outside if at > end]
    spans = [times[-1] - times[0] for times in (before, after) if len(times) > 1]
    counted = sum(len(times) - 1 for times in (before, after) if len(times) > 1)
    return counted / sum(spans) if spans else 0.0


def until(sessions: Sessions, pid: int, trials: int) -> None:
    """Wait until `trials` trials are complete or pruned, or the command has ended."""
    while is_alive(pid) and len(ended_well(sessions.home, STUDY)) < trials:
        time.sleep(0.05)


def _miscounted(sessions: Sessions, wanted: int) -> Iterator[str]:
    """Yield wrong numbers of trials and of trainings."""
    trials = load_optuna_study(STUDY, sessions.store_paths).get_trials(deepcopy=False)
    states = Counter(trial.state.name for trial in trials)
    if states != {"COMPLETE": wanted}:
        yield f"Optuna has {dict(states)} instead of {wanted} complete trials"
    finished = Counter(
        line.split()[1]
        for line in sessions.log.read_text().splitlines()
        if line.startswith("finish")
    )
    requested = Counter(str(trial.user_attrs[SEED]) for trial in trials)
    if finished != requested:
        yield (
            f"workers finished {finished.total()} trainings of {len(finished)} trials, "
            f"{requested.total()} were requested"
        )


def _doubled(sessions: Sessions) -> Iterator[str]:
    """Yield curves whose length in MLflow is not that in the journal."""
    study_id = load_optuna_study(STUDY, sessions.store_paths).user_attrs[STUDY_ID]
    history = read_history(sessions.store_paths.workspace.journals(STUDY), study_id)
    client = MlflowClient(sessions.store_paths.tracking_uri)
    for trial, run_id in find_study_runs(sessions.store_paths, study_id).trials.items():
        points = len(client.get_metric_history(run_id, "val_accuracy"))
        if points != len(history.trials[trial].epochs):
            yield (
                f"trial {trial} has {points} points in MLflow, "
                f"{len(history.trials[trial].epochs)} in the journal"
            )
