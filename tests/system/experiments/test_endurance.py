"""Real sweeps with killed processes: resumed trials and retries."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from assay.search.events import EpochEnded
from assay.search.journal import read_events
from tests.helpers.command import ASSAY, assay
from tests.helpers.mlflow_server import MlflowServer
from tests.helpers.waiting import GUARD_SECONDS, wait_until

STUDY = "digits-mlp"
EPOCHS = 150


def arguments(home: Path, *more: str, trials: int = 1) -> tuple[str, ...]:
    sized = (
        "--trials",
        str(trials),
        "--epochs",
        str(EPOCHS),
        "--workers",
        "1",
        "--pruner",
        "none",
        "--seed",
        "5",
    )
    return ("sweep", STUDY, *sized, "--home", str(home), "--json", *more)


def epochs(home: Path, trial: int = 0) -> list[int]:
    events = (
        event for event, _ in read_events(home / "journal" / f"{STUDY}.jsonl", only=[EpochEnded])
    )
    return [
        event.epoch for event in events if isinstance(event, EpochEnded) and event.trial == trial
    ]


@contextmanager
def in_the_middle(home: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a sweep until its first trial has trained some of its epochs."""
    process = subprocess.Popen(
        [*ASSAY, *arguments(home, *more)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: len(epochs(home)) >= 20)
        yield process
    finally:
        process.kill()
        process.wait()


def trial_runs(home: Path) -> dict[int, Run]:
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(ids, "tags.`assay.trial` LIKE '%'")
    return {int(run.data.tags["assay.trial"]): run for run in runs}


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_an_interrupted_trial_with_checkpoints_equals_an_uninterrupted_one(
    tmp_path: Path, backend: str
) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"the {backend} backend is not installed")
    whole = assay(*arguments(tmp_path / "whole", "--backend", backend))
    home = tmp_path / "home"
    with in_the_middle(home, "--checkpoint", "--backend", backend) as sweep:
        sweep.kill()
    known = len(epochs(home))
    done = assay(*arguments(home, "--checkpoint", "--backend", backend))
    assert (done.code, whole.code) == (0, 0), done.err
    assert done.answer["best"]["value"] == whole.answer["best"]["value"]
    redo = trial_runs(home)[1]
    assert redo.data.tags["assay.origin"] == "redo of 0"
    assert known <= redo.data.metrics["resumed_epoch"] <= known + 1
    assert epochs(home, 1) == list(range(1, EPOCHS + 1))
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    points = client.get_metric_history(redo.info.run_id, "val_loss")
    assert [point.step for point in points] == list(range(1, EPOCHS + 1))
    assert not (home / "checkpoints" / STUDY).exists()


def test_the_trial_of_a_killed_worker_is_retried(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with in_the_middle(home, "--checkpoint") as sweep:
        (fork_server,) = [
            child
            for child in psutil.Process(sweep.pid).children()
            if "fork_server" in " ".join(child.cmdline())
        ]
        (worker,) = fork_server.children()
        worker.kill()
        assert sweep.wait(timeout=GUARD_SECONDS) == 0
    first, retry = trial_runs(home)[0], trial_runs(home)[1]
    assert first.data.tags["assay.state"] == "failed: crashed (SIGKILL)"
    assert retry.data.tags["assay.state"] == "complete"
    assert (retry.data.tags["assay.attempt"], retry.data.tags["assay.retry_of"]) == ("2", "0")
    assert retry.data.tags["assay.seed"] == first.data.tags["assay.seed"]
    assert retry.data.metrics["resumed_epoch"] >= 20
    assert assay("doctor", "--home", str(home)).code == 0


def test_a_sweep_ended_by_two_ctrl_c_can_be_resumed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with MlflowServer() as server:
        asked = arguments(home, "--tracking-uri", server.uri)
        pipe = subprocess.PIPE
        with subprocess.Popen([*ASSAY, *asked], stdout=pipe, stderr=pipe, text=True) as sweep:
            wait_until(lambda: len(epochs(home)) >= 20)
            server.freeze()  # so that the sweep has to wait
            sweep.send_signal(signal.SIGINT)
            assert sweep.stderr is not None
            assert any(line.startswith("stopping: ") for line in sweep.stderr)
            sweep.send_signal(signal.SIGINT)
            out, err = sweep.communicate(timeout=GUARD_SECONDS)
        # After one Ctrl-C alone it would print its progress.
        assert (sweep.returncode, out) == (130, "")
        assert "assay: " in err.splitlines()[-1]
        server.go_on()
        done = assay(*asked)
        assert done.code == 0, done.err
        # No library prints to standard output.
        assert done.answer["trials"]["complete"] == 1
        assert assay("doctor", "--home", str(home), "--tracking-uri", server.uri).code == 0
