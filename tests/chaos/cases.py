"""What is done to sweeps. Each case prints what it did and yields what it saw."""

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
from assay.search.study_record import SEED
from tests.chaos.harm import Harm
from tests.chaos.points import Point
from tests.chaos.sessions import Sessions, Zygote
from tests.chaos.verdict import Verdict, ended_well, judge

STUDY = "digits-mlp"
_MOST_SESSIONS = 5
_WORKERS = 2


@dataclass(frozen=True)
class Seen:
    """What came of a case."""

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
    """Enter with a home of its own, which vanishes. It has the data, and MLflow's tables, which take seconds."""
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
    """Return the words that ask for a sweep whose trials only fail because they are killed."""
    sized = ["--trials", str(trials), "--workers", str(workers), "--epochs", "4"]
    return ["sweep", STUDY, *sized, "--max-failures", "100000", "--seed", "1", *more]


def points(
    zygote: Zygote,
    chosen: Iterable[Point],
    trials: int = 6,
    storage: Callable[[], str | None] = lambda: None,
) -> Iterator[Seen]:
    """Die at each point, each time in a home of its own, then go on until the study is done."""
    for point in chosen:
        with home(zygote, storage()) as sessions:
            wanted = sweep(trials, _WORKERS, "--sampler", "random", "--checkpoint")
            if point.seam in ("recover", "try again"):  # there must be something to recover
                sessions.run(*wanted, points=[Point("report", "after", 5)])
            crash = [Point("report", "after", 3, "worker")] if point.seam == "retry" else []
            before = len(sessions.worker_pids())
            status = sessions.run(*wanted, points=[*crash, point])
            replaced = len(sessions.worker_pids()) - before - _WORKERS
            finished = ended_well(sessions.home, STUDY)
            statuses = [status]
            while statuses[-1] != 0 and len(statuses) < _MOST_SESSIONS:
                statuses.append(sessions.run(*wanted))
            verdict = judge(sessions, STUDY, finished)
            if statuses[-1] != 0:
                verdict.told = (
                    *verdict.told,
                    f"did not go on: {sessions.errors.read_text()[-500:]}",
                )
            if status != -9 and (point.who != "worker" or replaced <= 0):
                verdict.told = (*verdict.told, "nobody died there")
            yield Seen(str(point), f"statuses {statuses}", verdict)


def random_kills(zygote: Zygote, kills: int, trials: int, workers: int) -> Iterator[Seen]:
    """Kill the supervisor, a worker, or all at random times, until so many were killed and so many trials are done."""
    with home(zygote) as sessions:
        harm = Harm(sessions, STUDY, random.Random(workers), longest_seconds=0.6)
        wanted = sweep(trials, workers)
        while harm.is_done(wanted, kills):
            trials += 50  # done before enough were killed: more is asked for
            wanted = sweep(trials, workers)
        status = sessions.run(*wanted)
        verdict = judge(sessions, STUDY, harm.finished)
        verdict.orphans += harm.orphans
        if status != 0:
            verdict.told = (
                *verdict.told,
                f"did not go on, {status}: {sessions.errors.read_text()[-500:]}",
            )
        done = len(ended_well(sessions.home, STUDY))
        yield Seen(f"random kills, {workers} workers", f"{harm}, {done} trials", verdict)


def real(zygote: Zygote, kills: int, trials: int) -> Iterator[Seen]:
    """Kill sweeps that train networks, with checkpoints: each value is that of a sweep that nobody disturbed."""
    chance = random.Random(0)
    listed = [
        {"hidden_units": chance.randint(16, 64), "learning_rate": chance.uniform(1e-3, 1e-2)}
        for _ in range(trials - 1)
    ]  # and the baseline: all are queued, so that a trial that is done again makes no other come in its place
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
        wanted = sweep(
            trials, 2, "--enqueue", str(file), "--checkpoint", "--retries", str(kills), *fixed
        )
        harm = Harm(sessions, STUDY, chance, longest_seconds=2.0)
        harm.is_done(wanted, kills)
        statuses = [sessions.run(*wanted), twin.run(*wanted)]
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
        did = f"{harm}, {done} trials of 100 epochs, {values} different values, {resumed} went on from a checkpoint"
        yield Seen("random kills of real trainings with checkpoints", did, verdict)


def doctor(zygote: Zygote, chosen: Iterable[Point], trials: int = 6) -> Iterator[Seen]:
    """Kill a sweep, and the doctor who mends what that left, at each point; then have it mended, and go on."""
    for point in chosen:
        with home(zygote) as sessions:
            wanted = sweep(trials, 2, "--sampler", "random", "--pruner", "none")
            sessions.run(*wanted, points=[Point("tell", "before", 3)])
            finished = ended_well(sessions.home, STUDY)
            died, mended, looked = (sessions.run("doctor", *more, points=at) for more, at in (
                (["--fix"], [point]), (["--fix"], []), ([], [])
            ))  # fmt: skip
            statuses = [died, mended, looked, sessions.run(*wanted)]
            verdict = judge(sessions, STUDY, finished)
            if statuses != [-9, 0, 0, 0]:
                verdict.told = (
                    *verdict.told,
                    f"statuses {statuses}: {sessions.errors.read_text()[-500:]}",
                )
            yield Seen(
                f"doctor --fix dies {point.when} {point.seam}", f"statuses {statuses}", verdict
            )


def queue(zygote: Zygote, configurations: int, workers: int) -> Iterator[Seen]:
    """Queue so many configurations: each is executed once."""
    listed = [{"learning_rate": round(1e-4 + 1e-5 * number, 6)} for number in range(configurations)]
    with home(zygote) as sessions:
        file = sessions.home.with_name("list.json")
        file.write_text(json.dumps(listed))
        fixed = ("--set", "hidden_units=8", "--set", "activation=relu", "--set", "batch_size=32")
        asked = sweep(configurations, workers, "--enqueue", str(file), "--pruner", "none", *fixed)
        status = sessions.run(*asked)
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
