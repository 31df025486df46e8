"""Two supervisors at once on one study on PostgreSQL.

They have the same home, or two homes that share an MLflow store.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Literal, get_args

from assay.experiments.maintenance.doctor import diagnose
from assay.experiments.results.listing import load_optuna_study
from assay.experiments.tracking.lookup import find_study_runs
from assay.experiments.workspace import StorePaths
from assay.search.history import read_history
from assay.search.storage.stored_values import SEED, STATE, STUDY_ID, SUPERVISOR
from tests.chaos.cases import STUDY, Seen, home, sweep
from tests.chaos.outages import until
from tests.chaos.sessions import Sessions, Zygote, is_alive, kill
from tests.chaos.verdict import Verdict, ended_well, judge
from tests.helpers.postgresql import PostgreSQL, missing

_WORKERS = 2
_AWAY_SECONDS = 3.0
_Happens = Literal["undisturbed", "one killed", "PostgreSQL away"]


def together(zygote: Zygote, trials: int) -> Iterator[Seen]:
    """Run two supervisors at once, with and without failures.

    The failures are a kill of one supervisor, whose home resumes at the end, and an outage of
    PostgreSQL.
    """
    if (why := missing()) is not None:
        yield Seen("two supervisors", why, Verdict(told=("was not tried",)))
        return
    with PostgreSQL() as server:
        for homes in (1, 2):
            for happens in get_args(_Happens):
                yield _two(zygote, server, homes, happens, trials)


def _two(zygote: Zygote, server: PostgreSQL, homes: int, happens: _Happens, trials: int) -> Seen:
    with ExitStack() as stack:
        url = server.new()
        first = stack.enter_context(home(zygote, url, epoch_seconds=0.02))
        second = first
        if homes == 2:
            shared = first.store_paths.tracking_uri
            second = stack.enter_context(home(zygote, url, shared, epoch_seconds=0.02))
        told: list[str] = []
        running = 0
        wanted = sweep(trials, _WORKERS)
        pids = [first.start(*wanted), second.start(*wanted)]
        finished: set[int] = set()
        if happens == "one killed":
            told += _kill_one(first, second, pids)
            finished = ended_well(first.home, STUDY) | ended_well(second.home, STUDY)
            statuses = [second.wait(pids[1]), first.wait(pids[0])]
            told += [f"the other supervisor ended with status {statuses[0]}"] if statuses[0] else []
            told += _touched(first.store_paths)
            running = _count_running(first.store_paths)
            statuses.append(first.run(*sweep(trials + 5, _WORKERS)))
        else:
            if happens == "PostgreSQL away":
                until(first, pids[0], 4)
                server.stop()
                time.sleep(_AWAY_SECONDS)
                server.start()
            statuses = [first.wait(pids[0]), second.wait(pids[1])]
        if statuses[-1] != 0:
            told.append(f"statuses {statuses}: {first.errors.read_text()[-500:]}")
        verdict = judge(first, STUDY, finished)
        if homes == 2:
            others = diagnose(second.store_paths, fix=False).differences
            verdict.disagreements += len(others)
            told += map(str, others)
        told += _union(
            [first] if second is first else [first, second], trials + 5 * (happens == "one killed")
        )
        verdict.told = (*verdict.told, *told)
        whose = Counter(
            str(trial.user_attrs.get(SUPERVISOR))[:6]
            for trial in load_optuna_study(STUDY, first.store_paths).get_trials()
        )
        under_way = f" with {running} trials under way" if happens == "one killed" else ""
        did = f"trials by supervisor: {', '.join(map(str, whose.values()))}"
        return Seen(
            f"two supervisors, {homes} {'home' if homes == 1 else 'homes'}, {happens}{under_way}",
            did,
            verdict,
        )


def _kill_one(first: Sessions, second: Sessions, pids: list[int]) -> Iterator[str]:
    """Kill the first supervisor while both run trials."""
    until(first, pids[0], 4)
    until(second, pids[1], 8)
    if not all(map(is_alive, pids)):
        yield "a supervisor ended before the kill"
    kill(pids[0])
    while is_alive(pids[0]):
        time.sleep(0.01)


def _count_running(store_paths: StorePaths) -> int:
    return sum(
        trial.state.name == "RUNNING"
        for trial in load_optuna_study(STUDY, store_paths).get_trials(deepcopy=False)
    )


def _touched(store_paths: StorePaths) -> Iterator[str]:
    """Yield trials of the killed supervisor that the other one settled."""
    for trial in load_optuna_study(STUDY, store_paths).get_trials(deepcopy=False):
        if trial.user_attrs.get(STATE) == "failed: interrupted":
            yield f"the other supervisor settled trial {trial.number}"


def _union(several: Sequence[Sessions], wanted: int) -> Iterator[str]:
    """Yield errors in the trials of all homes together."""
    study = load_optuna_study(STUDY, several[0].store_paths)
    study_id = study.user_attrs[STUDY_ID]
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.state.name != "WAITING"]
    known = Counter(
        number
        for one in several
        for number in read_history(one.store_paths.workspace.journals(STUDY), study_id).trials
    )
    if known != Counter(trial.number for trial in trials):
        yield f"the journals have {known.total()} trials, Optuna {len(trials)}"
    done = sum(trial.state.name in ("COMPLETE", "PRUNED") for trial in trials)
    if not wanted <= done <= wanted + _WORKERS:
        yield f"{done} of {wanted} trials are done"
    finished = Counter(
        line.split()[1]
        for one in several
        for line in one.log.read_text().splitlines()
        if line.startswith("finish")
    )
    # A worker may finish a trial although its supervisor was killed before it received the result;
    # the trial then runs again.
    redone = Counter(
        str(trial.user_attrs.get(SEED))
        for trial in trials
        if trial.user_attrs.get(STATE) == "failed: interrupted"
    )
    for seed, count in finished.items():
        if count > 1 + redone[seed]:
            states = [
                trial.user_attrs.get(STATE)
                for trial in trials
                if str(trial.user_attrs.get(SEED)) == seed
            ]
            yield f"the trials of seed {seed}, {states}, were finished {count} times"
    lost = {
        str(trial.user_attrs[SEED])
        for trial in trials
        if trial.state.name in ("COMPLETE", "PRUNED")
    } - finished.keys()
    if lost:
        yield f"{len(lost)} trials are done, but no worker finished them"
    configurations = Counter(
        str(trial.params)
        for trial in trials
        if trial.user_attrs.get(STATE) != "failed: interrupted"
    )
    if any(count > 1 for count in configurations.values()):
        yield "a configuration was drawn twice"
    runs = find_study_runs(several[0].store_paths, study_id)
    if sorted(runs.trials) != sorted(trial.number for trial in trials):
        yield f"MLflow has {len(runs.trials)} runs for {len(trials)} trials"
