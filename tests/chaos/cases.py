"""Chaos cases: what is done to sweeps.

Each case yields what it did, and its verdict.
"""

from __future__ import annotations

import atexit
import functools
import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import TrialState

from assay.experiments.data.preparation import prepare
from assay.experiments.data.settings import DataSettings
from assay.experiments.results.listing import load_optuna_study
from assay.experiments.tracking.store import open_client
from assay.search.events import TrialBegun
from assay.search.journal import read_events
from assay.search.storage.stored_values import SEED
from tests.chaos.harm import Harm
from tests.chaos.points import Point
from tests.chaos.sessions import Sessions, Zygote
from tests.chaos.verdict import Verdict, ended_well, judge, judge_finalizes

STUDY = "digits-mlp"
_MOST_SESSIONS = 5
_WORKERS = 2


@dataclass(frozen=True)
class Seen:
    """Result of a case.

    Attributes:
        case: name of the case.
        did: what was done, for the printed line.
        verdict: violations that were found.
    """

    case: str
    did: str
    verdict: Verdict


@contextmanager
def home(
    zygote: Zygote,
    storage: str | None = None,
    tracking_uri: str | None = None,
    epoch_seconds: float = 0.005,
    real: bool = False,
) -> Iterator[Sessions]:
    """Create a home, and delete it on exit.

    It has the prepared data and MLflow's tables, because creating them takes seconds.
    """
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        sessions = Sessions(zygote, Path(folder), storage, tracking_uri, epoch_seconds, real)
        shutil.copytree(_template(), sessions.home)
        yield sessions


@functools.cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="chaos-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    prepare(DataSettings(name="digits"), folder, folder)
    open_client(f"sqlite:///{folder / 'mlflow.db'}")
    return folder


def sweep(trials: int, workers: int, *more: str) -> Sequence[str]:
    """Return the arguments of a sweep whose trials fail only when killed."""
    sized = ["--trials", str(trials), "--workers", str(workers), "--epochs", "4"]
    return ["sweep", STUDY, *sized, "--max-failures", "100000", "--seed", "1", *more]


def points(
    zygote: Zygote,
    chosen: Iterable[Point],
    trials: int = 6,
    storage: Callable[[], str | None] = lambda: None,
) -> Iterator[Seen]:
    """Kill a process at each point, then resume until the study is done.

    Each point has a home of its own.
    """
    for point in chosen:
        with home(zygote, storage()) as sessions:
            command = sweep(trials, _WORKERS, "--sampler", "random", "--checkpoint")
            if point.seam in ("recover", "try again"):  # recovery needs an interrupted session
                sessions.run(*command, points=[Point("report", "after", 5)])
            crash = [Point("report", "after", 3, "worker")] if point.seam == "retry" else []
            before = len(sessions.worker_pids())
            status = sessions.run(*command, points=[*crash, point])
            replaced = len(sessions.worker_pids()) - before - _WORKERS
            finished = ended_well(sessions.home, STUDY)
            statuses = [status]
            while statuses[-1] != 0 and len(statuses) < _MOST_SESSIONS:
                statuses.append(sessions.run(*command))
            verdict = judge(sessions, STUDY, finished)
            if statuses[-1] != 0:
                verdict.told = (
                    *verdict.told,
                    f"did not resume: {sessions.errors.read_text()[-500:]}",
                )
            if status != -9 and (point.who != "worker" or replaced <= 0):
                verdict.told = (*verdict.told, "no process died at the point")
            yield Seen(str(point), f"statuses {statuses}", verdict)


def random_kills(zygote: Zygote, kills: int, trials: int, workers: int) -> Iterator[Seen]:
    """Kill the supervisor, a worker, or all, at random times.

    The sweep then runs until its trials are done.
    """
    with home(zygote) as sessions:
        harm = Harm(sessions, STUDY, random.Random(workers), longest_seconds=0.6)
        command = sweep(trials, workers)
        while harm.is_done(command, kills):
            trials += 50  # the sweep was done before the last kill, and gets more trials
            command = sweep(trials, workers)
        status = sessions.run(*command)
        verdict = judge(sessions, STUDY, harm.finished)
        verdict.orphans += harm.orphans
        if status != 0:
            verdict.told = (
                *verdict.told,
                f"did not resume, status {status}: {sessions.errors.read_text()[-500:]}",
            )
        done = len(ended_well(sessions.home, STUDY))
        yield Seen(f"random kills, {workers} workers", f"{harm}, {done} trials", verdict)


def real(zygote: Zygote, kills: int, trials: int) -> Iterator[Seen]:
    """Kill sweeps that train networks with checkpoints.

    Each value must be that of an undisturbed sweep.
    """
    chance = random.Random(0)
    # One fewer than `trials`, because the baseline is queued too. All trials are queued, so that a
    # trial that is done again does not take the place of another one.
    listed = [
        {"hidden_units": chance.randint(16, 64), "learning_rate": chance.uniform(1e-3, 1e-2)}
        for _ in range(trials - 1)
    ]
    fixed = (
        "--set",
        "activation=tanh",
        "--set",
        "batch_size=32",
        "--set",
        "epochs=100",
        "--pruner",
        "none",
    )
    with home(zygote, real=True) as sessions, home(zygote, real=True) as twin:
        file = sessions.home.with_name("list.json")
        file.write_text(json.dumps(listed))
        command = sweep(
            trials, 2, "--enqueue", str(file), "--checkpoint", "--retries", str(kills), *fixed
        )
        harm = Harm(sessions, STUDY, chance, longest_seconds=2.0)
        harm.is_done(command, kills)
        statuses = [sessions.run(*command), twin.run(*command)]
        ended = load_optuna_study(STUDY, twin.store_paths).get_trials(states=[TrialState.COMPLETE])
        undisturbed = {trial.user_attrs[SEED]: trial.value for trial in ended}
        verdict = judge(
            sessions, STUDY, harm.finished, kills, lambda seed, epochs: undisturbed.get(seed)
        )
        told = (
            []
            if statuses == [0, 0]
            else [f"statuses {statuses}: {sessions.errors.read_text()[-500:]}"]
        )
        resumed = sessions.errors.read_text().count("resumed after epoch")
        done = len(ended_well(sessions.home, STUDY))
        verdict.lost += trials - done
        verdict.orphans += harm.orphans
        verdict.told = (*verdict.told, *told)
        values = len(set(undisturbed.values()))
        did = (
            f"{harm}, {done} trials of 100 epochs, {values} different values, "
            f"{resumed} resumed from a checkpoint"
        )
        yield Seen("random kills of real trainings with checkpoints", did, verdict)


def doctor(zygote: Zygote, chosen: Iterable[Point], trials: int = 6) -> Iterator[Seen]:
    """Kill a sweep, and then `doctor --fix` at each point.

    After that, `doctor --fix` runs again, and the sweep resumes.
    """
    for point in chosen:
        with home(zygote) as sessions:
            command = sweep(trials, 2, "--sampler", "random", "--pruner", "none")
            sessions.run(*command, points=[Point("tell", "before", 3)])
            finished = ended_well(sessions.home, STUDY)
            died, mended, looked = (sessions.run("doctor", *more, points=at) for more, at in (
                (["--fix"], [point]), (["--fix"], []), ([], [])
            ))  # fmt: skip
            statuses = [died, mended, looked, sessions.run(*command)]
            verdict = judge(sessions, STUDY, finished)
            if statuses != [-9, 0, 0, 0]:
                verdict.told = (
                    *verdict.told,
                    f"statuses {statuses}: {sessions.errors.read_text()[-500:]}",
                )
            yield Seen(
                f"doctor --fix dies {point.when} {point.seam}", f"statuses {statuses}", verdict
            )


def finalize(zygote: Zygote, kills: int) -> Iterator[Seen]:
    """Kill finalizes of one study at random times, until the last one comes to its end."""
    with home(zygote) as sessions:
        sessions.run(*sweep(6, 2, "--sampler", "random", "--pruner", "none"))
        harm = Harm(sessions, STUDY, random.Random(1), longest_seconds=2.0)
        command = ["finalize", STUDY, "--seeds", "4", "--workers", "2", "--retries", str(kills)]
        while harm.is_done(command, kills):
            pass  # it came to its end before the last kill: the next one is another opening
        status = sessions.run(*command)
        verdict, openings = judge_finalizes(sessions, STUDY)
        verdict.orphans += harm.orphans
        if status != 0:
            verdict.told = (
                *verdict.told,
                f"did not resume, status {status}: {sessions.errors.read_text()[-500:]}",
            )
        yield Seen("random kills of finalize", f"{harm}, {openings} openings", verdict)


def finalize_points(zygote: Zygote, chosen: Iterable[Point]) -> Iterator[Seen]:
    """Kill a finalize at each point; the same command then comes to its end."""
    for point in chosen:
        with home(zygote) as sessions:
            sessions.run(*sweep(4, 2, "--sampler", "random", "--pruner", "none"))
            command = ["finalize", STUDY, "--top", "1", "--seeds", "3", "--workers", "2"]
            statuses = [sessions.run(*command, points=[point]), sessions.run(*command)]
            verdict, openings = judge_finalizes(sessions, STUDY)
            if statuses != [-9, 0]:
                verdict.told = (
                    *verdict.told,
                    f"statuses {statuses}: {sessions.errors.read_text()[-500:]}",
                )
            yield Seen(
                f"finalize dies {point.when} {point.seam}",
                f"statuses {statuses}, {openings} openings",
                verdict,
            )


def queue(zygote: Zygote, configurations: int, workers: int) -> Iterator[Seen]:
    """Run a sweep of queued configurations; each must run once."""
    listed = [{"learning_rate": round(1e-4 + 1e-5 * number, 6)} for number in range(configurations)]
    with home(zygote) as sessions:
        file = sessions.home.with_name("list.json")
        file.write_text(json.dumps(listed))
        fixed = ("--set", "hidden_units=8", "--set", "activation=relu", "--set", "batch_size=32")
        command = sweep(configurations, workers, "--enqueue", str(file), "--pruner", "none", *fixed)
        status = sessions.run(*command)
        verdict = judge(sessions, STUDY, ended_well(sessions.home, STUDY))
        executed = Counter(
            line.split()[1]
            for line in sessions.log.read_text().splitlines()
            if line.startswith("finish")
        )
        begun = [
            event.searched["learning_rate"]
            for event, _ in read_events(
                sessions.home / "journal" / f"{STUDY}.jsonl", only=[TrialBegun]
            )
            if isinstance(event, TrialBegun)
        ]
        verdict.twice += sum(count - 1 for count in executed.values())
        verdict.lost += len({one["learning_rate"] for one in listed} - set(begun)) + int(
            status != 0
        )
        yield Seen(
            f"{configurations:,} queued configurations, {workers} workers",
            f"{len(executed):,} executed, {len(begun):,} begun",
            verdict,
        )
