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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from optuna.trial import TrialState

from experiments.data.preparation import prepare
from experiments.data.settings import DataSettings
from experiments.studies import find_study
from experiments.tracking.store import open_client
from search.events import TrialBegun
from search.journal import read
from search.known_study import SEED
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
    zygote: Zygote, chosen: Iterable[Point], trials: int = 6, storage: Callable[[], str | None] = lambda: None
) -> Iterator[Seen]:
    """Die at each point, each time in a home of its own, then go on until the study is done."""
    for point in chosen:
        with home(zygote, storage()) as sessions:
            wanted = sweep(trials, 2, "--sampler", "random", "--checkpoint")
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
    with home(zygote) as sessions:

        def wanted(times: int) -> Sequence[str]:
            return sweep(trials + 50 * times, workers)

        harm = kill_at_random(sessions, wanted, kills, random.Random(workers), longest_seconds=0.6)
        verdict = judge(sessions, STUDY, harm.finished)
        verdict.told = (*verdict.told, *harm.told)
        done = len(ended_well(sessions.home, STUDY))
        yield Seen(f"random kills, {workers} workers", f"{harm}, {done} trials", verdict)


def real(zygote: Zygote, kills: int, trials: int) -> Iterator[Seen]:
    """Kill sweeps that train networks, with checkpoints: each value is that of a sweep that nobody disturbed."""
    chance = random.Random(0)
    drawn = ({"hidden_units": chance.randint(16, 64), "learning_rate": chance.uniform(1e-3, 1e-2)} for _ in range(200))
    fixed = ("--set", "activation=tanh", "--set", "batch_size=32", "--set", "epochs=60")
    with home(zygote, real=True) as sessions, home(zygote, real=True) as twin:
        file = sessions.home.with_name("list.json")
        file.write_text(json.dumps(list(drawn)))

        def wanted(times: int) -> Sequence[str]:
            return sweep(trials * (times + 1), 2, "--enqueue", str(file), "--pruner", "none", "--checkpoint", *fixed)

        harm = kill_at_random(sessions, wanted, kills, chance, longest_seconds=2.0)
        status = twin.run(*wanted(harm.times))
        ended = find_study(STUDY, twin.places).get_trials(states=[TrialState.COMPLETE])
        undisturbed = {trial.user_attrs[SEED]: trial.value for trial in ended}
        verdict = judge(sessions, STUDY, harm.finished, value=lambda seed, epochs: undisturbed[seed])
        verdict.told = (*verdict.told, *harm.told, *([] if status == 0 else ["the undisturbed sweep failed"]))
        trained = find_study(STUDY, sessions.places).get_trials(deepcopy=False)
        values = len({trial.value for trial in trained if trial.value is not None})
        did = f"{harm}, {len(ended_well(sessions.home, STUDY))} trials of 60 epochs, {values} different values"
        yield Seen("random kills of real trainings with checkpoints", did, verdict)


@dataclass
class Harm:
    """What was done to a home: who was killed how often, which trials had ended well before, what went wrong then.

    Attributes:
        times: how often all that was asked for was done before enough had been killed.
    """

    killed: Counter[str] = field(default_factory=Counter)
    finished: set[int] = field(default_factory=set)
    told: list[str] = field(default_factory=list)
    times: int = 0

    def __str__(self) -> str:
        counted = ", ".join(f"{count} of {who}" for who, count in sorted(self.killed.items()))
        return f"{self.killed.total()} kills ({counted})"


def kill_at_random(
    sessions: Sessions,
    wanted: Callable[[int], Sequence[str]],
    kills: int,
    chance: random.Random,
    longest_seconds: float,
) -> Harm:
    """Kill so often, then let the sweep come to its end.

    Args:
        sessions: where.
        wanted: returns the sweep's words, by how often all of it was done before enough were killed.
        kills: how often.
        chance: when, and whom.
        longest_seconds: between two kills.
    """
    harm = Harm()
    while harm.killed.total() < kills:
        pid = sessions.start(*wanted(harm.times))
        supervisor_lives = True
        before = len(sessions.worker_pids())
        while supervisor_lives and harm.killed.total() < kills:
            _wait_for_workers(sessions, pid, before)
            time.sleep(chance.uniform(0.0, longest_seconds))
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
            harm.killed[who] += 1
        if supervisor_lives and is_alive(pid):
            kill(pid)
        harm.times += sessions.wait(pid) == 0
        harm.finished |= ended_well(sessions.home, STUDY)
    statuses = []
    while 0 not in statuses and len(statuses) < _MOST_SESSIONS:
        statuses.append(sessions.run(*wanted(harm.times)))
    if 0 not in statuses:
        harm.told.append(f"did not go on, {statuses}: {sessions.errors.read_text()[-500:]}")
    return harm


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
                verdict.told = (*verdict.told, f"statuses {statuses}: {sessions.errors.read_text()[-500:]}")
            yield Seen(f"doctor --fix dies {point.when} {point.seam}", f"statuses {statuses}", verdict)


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
