"""`sweep` and `run` in Python with real training."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from assay import load_study, run, sweep
from tests.helpers.waiting import GUARD_SECONDS


def in_a_thread_with_a_running_loop(call: Callable[[], Any]) -> Any:
    answers: list[Any] = []

    async def cell() -> None:
        answers.append(call())

    thread = threading.Thread(target=lambda: asyncio.run(cell()))
    thread.start()
    thread.join()
    (answer,) = answers
    return answer


def test_sweeping_and_running_in_a_thread_with_a_running_loop(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def both() -> tuple[Any, Any]:
        few: dict[str, Any] = {"epochs": 2, "workers": 1, "home": tmp_path, "progress": False}
        first = {"hidden_units": 8, "activation": "relu", "batch_size": 64, "learning_rate": 0.01}
        study = sweep(
            "digits-mlp", trials=2, seed=3, pruner="none", study="mine", enqueue=[first], **few
        )
        outcome = run(
            "digits-mlp",
            set=study.trials.loc[0, list(study.searched)].to_dict(),
            epochs=2,
            home=tmp_path,
        )
        return study, outcome

    study, outcome = in_a_thread_with_a_running_loop(both)
    out, err = capfd.readouterr()
    assert out == ""
    assert "2/2" in err, "the bar of the run's epochs; the sweep's was not asked for"
    assert "mine" not in err
    assert (study.study, study.counts["complete"], study.seconds > 0) == ("mine", 2, True)
    assert study.trials.loc[0, "hidden_units"] == 8
    assert study.trials.loc[0, "origin"] == "enqueued"
    assert list(outcome.epochs["epoch"]) == [1, 2]
    assert outcome.epochs["val_accuracy"].iloc[-1] == outcome.metrics["val_accuracy"]
    assert outcome.params["hidden_units"] == 8
    assert len(outcome.run_id) == 32
    pd.testing.assert_frame_equal(load_study("mine", home=tmp_path).trials, study.trials)


INTERRUPTED = """
import os, signal, sys, threading, time
from pathlib import Path
from assay import load_study, sweep

home = Path(sys.argv[1])

def interrupt():
    while not any('"trial_ended"' in file.read_text() for file in home.glob("journal/*.jsonl")):
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
try:
    sweep("digits-mlp", trials=500, workers=1, home=home, progress=False)
except KeyboardInterrupt:
    study = load_study("digits-mlp", home=home)
    assert study.counts["complete"] + study.counts["pruned"] >= 1, study.counts
    assert "running" not in set(study.trials["state"])
    print("recorded")
"""


def test_trials_are_recorded_after_an_interrupt(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=GUARD_SECONDS,
    )
    assert (done.returncode, done.stdout) == (0, "recorded\n"), done.stderr
