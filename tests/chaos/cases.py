"""What is done to sweeps. Each case prints what it did and yields what it saw."""

from __future__ import annotations

import atexit
import functools
import json
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from experiments.data.preparation import prepare
from experiments.data.settings import DataSettings
from experiments.tracking.store import open_client
from search.events import TrialBegun
from search.journal import read
from tests.chaos.points import Point
from tests.chaos.sessions import Sessions, Zygote, is_alive, kill
from tests.chaos.verdict import Verdict, ended_well, judge

STUDY = "digits-mlp"
_MOST_SESSIONS = 5


@dataclass(frozen=True)
class Seen:
    """What came of a case."""

    case: str
    did: str
    verdict: Verdict


@contextmanager
def home(
    zygote: Zygote, storage: str | None = None, tracking_uri: str | None = None, epoch_seconds: float = 0.005
) -> Iterator[Sessions]:
    """Enter with a home of its own, which vanishes. It has the data, and MLflow's tables, which take seconds."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        sessions = Sessions(zygote, Path(folder), storage, tracking_uri, epoch_seconds)
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


def points(zygote: Zygote, chosen: Iterable[Point], trials: int = 6) -> Iterator[Seen]:
    """Die at each point, each time in a home of its own, then go on until the study is done."""
    for point in chosen:
        with home(zygote) as sessions:
            wanted = sweep(trials, 2, "--sampler", "random")
            if point.seam in ("recover", "try again"):  # there must be something to recover
                sessions.run(*wanted, points=[Point("report", "after", 5)])
            crash = [Point("report", "after", 3, "worker")] if point.seam == "retry" else []
            status = sessions.run(*wanted, points=[*crash, point])
            finished = ended_well(sessions.home, STUDY)
            statuses = [status]
            while statuses[-1] != 0 and len(statuses) < _MOST_SESSIONS:
                statuses.append(sessions.run(*wanted))
            verdict = judge(sessions, STUDY, finished)
            if statuses[-1] != 0:
                verdict.told = (*verdict.told, f"did not go on: {sessions.errors.read_text()[-500:]}")
            missed = point.who != "worker" and status != -9
            if missed:
                verdict.told = (*verdict.told, "the point was never reached")
            yield Seen(str(point), f"statuses {statuses}", verdict)


def random_kills(zygote: Zygote, kills: int, trials: int, workers: int) -> Iterator[Seen]:
    """Kill the supervisor, a worker, or all at random times, until so many were killed and so many trials are done."""
    chance = random.Random(workers)
    killed: Counter[str] = Counter()
    finished: set[int] = set()
    with home(zygote) as sessions:
        wanted = sweep(trials, workers)
        status = 1
        while killed.total() < kills:
            pid = sessions.start(*wanted)
            supervisor_lives = True
            before = len(sessions.worker_pids())
            while supervisor_lives and killed.total() < kills:
                _wait_for_workers(sessions, pid, before)
                time.sleep(chance.uniform(0.0, 0.6))
                if not is_alive(pid):
                    break
                who = chance.choice(("supervisor", "worker", "worker", "both"))
                alive = [worker for worker in sessions.worker_pids() if is_alive(worker)]
                if who != "supervisor":
                    for worker in alive if who == "both" else alive[:1]:
                        kill(worker)
                if who != "worker":
                    kill(pid)
                    supervisor_lives = False
                killed[who] += 1
            if not supervisor_lives or not is_alive(pid):
                status = sessions.wait(pid)
                finished |= ended_well(sessions.home, STUDY)
                if status == 0:
                    # Done before enough were killed: more is asked for.
                    trials += 50
                    wanted = sweep(trials, workers)
            else:
                kill(pid)
                sessions.wait(pid)
                finished |= ended_well(sessions.home, STUDY)
        for _ in range(_MOST_SESSIONS):
            status = sessions.run(*wanted)
            if status == 0:
                break
        verdict = judge(sessions, STUDY, finished)
        if status != 0:
            verdict.told = (*verdict.told, f"did not go on: {sessions.errors.read_text()[-500:]}")
        counted = ", ".join(f"{count} of {who}" for who, count in sorted(killed.items()))
        done = len(ended_well(sessions.home, STUDY))
        yield Seen(f"random kills, {workers} workers", f"{killed.total()} kills ({counted}), {done} trials", verdict)


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
            line.split()[1] for line in sessions.log.read_text().splitlines() if line.startswith("finish")
        )
        begun = [
            event.searched["learning_rate"]
            for event, _ in read(sessions.home / "journal" / f"{STUDY}.jsonl", only=[TrialBegun])
            if isinstance(event, TrialBegun)
        ]
        verdict.twice += sum(count - 1 for count in executed.values())
        verdict.lost += len({one["learning_rate"] for one in listed} - set(begun)) + int(status != 0)
        yield Seen(
            f"{configurations:,} queued configurations, {workers} workers",
            f"{len(executed):,} executed, {len(begun):,} begun",
            verdict,
        )


def _wait_for_workers(sessions: Sessions, pid: int, before: int) -> None:
    """Wait until a session has workers, or has ended."""
    while is_alive(pid) and len(sessions.worker_pids()) == before:
        time.sleep(0.01)
