"""Real sweeps: repeated, stopped, killed, and on real images."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from assay.search.events import EpochEnded, TrialBegun, TrialEnded
from assay.search.journal import read_events
from tests.helpers.command import ASSAY, SWEEP, assay
from tests.helpers.runs import optuna_trials, runs, trial_runs
from tests.helpers.waiting import GUARD_SECONDS, wait_until


def unpruned(home: Path, trials: str, epochs: str) -> tuple[str, ...]:
    limits = ("--trials", trials, "--epochs", epochs, "--pruner", "none")
    return ("sweep", "digits-mlp", *limits, "--home", str(home), "--json")


def after_two_trials(arguments: tuple[str, ...]) -> subprocess.Popen[str]:
    """Start a sweep; return it once its second trial has ended."""
    sweep = subprocess.Popen(
        [*ASSAY, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert sweep.stderr is not None
    for line in sweep.stderr:
        if line.startswith("[2/"):
            break
    return sweep


def running_trials(home: Path) -> set[int]:
    """Return the trials that are running according to the journal."""
    events = [event for event, _ in read_events(home / "journal" / "digits-mlp.jsonl")]
    ended = {event.trial for event in events if isinstance(event, TrialEnded)}
    return {event.trial for event in events if isinstance(event, TrialBegun)} - ended


def test_one_worker_and_one_seed_are_reproducible(
    tmp_path: Path,
) -> None:
    curves = []
    for home in (tmp_path / "first", tmp_path / "second"):
        done = assay(*SWEEP, "--workers", "1", "--trials", "4", "--home", str(home))
        assert done.code == 0, done.err
        curves.append(
            [
                (event.trial, event.epoch, event.metrics)
                for event, _ in read_events(home / "journal" / "digits-mlp.jsonl")
                if isinstance(event, EpochEnded)
            ]
        )
    assert len(curves[0]) > 4
    assert curves[0] == curves[1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_sweep_that_is_asked_to_stop_goes_on_where_it_was(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    home = tmp_path / "home"
    arguments = unpruned(home, trials="6", epochs="150")
    sweep = after_two_trials(arguments)
    wait_until(lambda: running_trials(home))
    sweep.send_signal(number)
    out, _ = sweep.communicate(timeout=GUARD_SECONDS)
    assert sweep.returncode == code
    stopped = json.loads(out.splitlines()[-1])
    assert stopped["trials"]["interrupted"] >= 1, "it waited until all that ran was trained"
    interrupted = {
        n
        for n, run in trial_runs(home).items()
        if run.data.tags["assay.state"] == "failed: interrupted"
    }
    assert len(interrupted) == stopped["trials"]["interrupted"]
    assert stopped["trials"]["failed"] == 0
    assert {run.info.status for n, run in trial_runs(home).items() if n in interrupted} == {
        "KILLED"
    }

    done = assay(*arguments)
    assert done.code == 0, done.err
    assert done.answer["trials"]["complete"] == 6
    assert all(f"(redo of {number}) complete" in done.err for number in interrupted)
    assert {run.info.status for run in runs(home)} == {"FINISHED", "KILLED"}
    redone = [
        run for run in runs(home) if run.data.tags.get("assay.origin", "").startswith("redo of ")
    ]
    assert {
        int(run.data.tags["assay.origin"].removeprefix("redo of ")) for run in redone
    } == interrupted
    first = {n: run.data for n, run in trial_runs(home).items()}
    for run in redone:
        before = first[int(run.data.tags["assay.origin"].removeprefix("redo of "))]
        assert (run.data.params, run.data.tags["assay.seed"]) == (
            before.params,
            before.tags["assay.seed"],
        )


def test_a_killed_supervisor_loses_no_finished_trial(tmp_path: Path) -> None:
    home = tmp_path / "home"
    arguments = unpruned(home, trials="5", epochs="100")
    sweep = after_two_trials(arguments)
    sweep.kill()
    sweep.wait()
    # The journal is written first, so a trial that ended there must survive, even if the stores do
    # not have it yet.
    ends = [
        event
        for event, _ in read_events(home / "journal" / "digits-mlp.jsonl")
        if isinstance(event, TrialEnded)
    ]
    finished = {end.trial: end.value for end in ends}
    assert len(finished) >= 2
    done = assay(*arguments)
    assert done.code == 0, done.err
    trials = {trial.number: trial for trial in optuna_trials(home)}
    assert {number: trials[number].value for number in finished} == finished
    assert all(trial.state.name in ("COMPLETE", "FAIL") for trial in trials.values())
    found = trial_runs(home)
    assert sorted(found) == sorted(trials)
    assert "RUNNING" not in {run.info.status for run in runs(home)}


def test_the_next_command_settles_a_killed_single_run(tmp_path: Path) -> None:
    home = tmp_path / "home"
    run = subprocess.Popen([*ASSAY, "run", "digits-mlp", "--epochs", "5000", "--home", str(home)])
    journals = home / "journal"
    while not any("epoch_ended" in path.read_text() for path in journals.glob("run-*.jsonl")):
        assert run.poll() is None
        time.sleep(0.1)
    run.kill()
    run.wait()
    assert assay("run", "digits-mlp", "--epochs", "1", "--home", str(home)).code == 0
    assert sorted(found.info.status for found in runs(home)) == ["FINISHED", "KILLED"]


@pytest.mark.real_data
@pytest.mark.parametrize("experiment", ["mnist-mlp", "cifar10-cnn"])
def test_a_short_sweep_on_real_images(experiment: str, real_data: Path, tmp_path: Path) -> None:
    small = ["--set", "filters=4", "--set", "batch_size=256"] if experiment == "cifar10-cnn" else []
    done = assay(
        "sweep", experiment, "--trials", "2", "--epochs", "1", "--workers", "2", *small,
        "--home", str(tmp_path / "home"), "--data-dir", str(real_data), "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.answer["best"]["value"] > {"mnist-mlp": 0.85, "cifar10-cnn": 0.2}[experiment]
    verified = {
        run.data.tags["assay.dataset.verified"][:3]
        for run in runs(tmp_path / "home")
        if "assay.dataset" in run.data.tags
    }
    assert verified == {"yes" if experiment == "mnist-mlp" else "no:"}
