"""`sweep`, `run` and `load_study` in Python: the command line's, with DataFrames for an answer."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import assay
from assay import RequestError, SearchError, load_study, run, sweep
from assay.experiments import api
from assay.experiments.run.result import SweepResult
from assay.experiments.run.session import Ending
from assay.search.objective import Objectives
from tests.helpers.command import Swept

OTHERWISE_NAMED = {"values": "set"}
ONLY_A_COMMAND = {"as_json", "dry_run"}


@pytest.mark.parametrize("verb", ["sweep", "run"])
def test_every_option_of_the_command_is_a_parameter_of_the_function(verb: str) -> None:
    command = importlib.import_module(f"assay.experiments.cli.{verb}").command
    options = {
        OTHERWISE_NAMED.get(option.name, option.name) for option in command.params
    } - ONLY_A_COMMAND
    parameters = inspect.signature(getattr(assay, verb)).parameters
    assert options <= set(parameters)
    others = [parameter for name, parameter in parameters.items() if name != "experiment"]
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in others)
    for option in command.params:
        if isinstance(option.default, int) and option.name not in ONLY_A_COMMAND:
            assert parameters[option.name].default == option.default


def test_importing_the_package_imports_nothing_heavy_and_knows_what_it_has() -> None:
    script = """
import sys, assay
assert {"sweep", "run", "load_study"} <= set(dir(assay))
heavy = {"keras", "tensorflow", "mlflow", "optuna", "pandas", "matplotlib", "tqdm", "numpy"} & set(sys.modules)
assert not heavy, heavy
from assay import sweep, run, load_study
import assay.experiments.cli.main
assert all(map(callable, (assay.sweep, assay.run, assay.load_study)))
assert not {"keras", "tensorflow", "matplotlib"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'sweeep'"):
        assay.sweeep


@pytest.mark.parametrize(
    "call",
    [
        lambda home: sweep("digit-mlp", home=home),
        lambda home: sweep("digits-mlp", trials=0, home=home),
        lambda home: sweep("digits-mlp", epochs=0, home=home),
        lambda home: sweep("digits-mlp", sampler="tpee", home=home),
        lambda home: sweep("digits-mlp", timeout="soon", home=home),
        lambda home: sweep("digits-mlp", study="", home=home),
        lambda home: sweep("digits-mlp", set={"batch_size": 10**6}, home=home),
        lambda home: run("digits-mlp", seed=-1, home=home),
        lambda home: run("digits-mlp", backend="theano", home=home),
        lambda home: load_study("nothing", home=home),
    ],
)
def test_a_wrong_request_is_an_error_in_one_line_and_nothing_is_written(
    call: Callable[[Path], object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RequestError) as caught:
        call(tmp_path / "home")
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "home").exists()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("ending", "untracked", "error"),
    [
        (Ending("failed", "trials only fail", 1), None, SearchError),
        (Ending("finished", None, 0), "the store is away", SearchError),
        (Ending("interrupted", None, 130), None, KeyboardInterrupt),
        (Ending("interrupted", None, 143), None, SystemExit),
    ],
)
def test_how_a_sweep_ended_is_an_exception(
    ending: Ending,
    untracked: str | None,
    error: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def ended(*_: Any) -> SweepResult:
        objectives = Objectives.read(["maximize val_accuracy"])
        return SweepResult(
            ending, untracked, "s", "e", "", None, 1.0, {}, objectives, [], {}, 1, False
        )

    monkeypatch.setattr(api.sweeping, "sweep", ended)
    with pytest.raises(error):
        sweep("digits-mlp", home=tmp_path)


def test_a_study_of_the_command_line_is_the_same_in_python(swept: Swept) -> None:
    study = load_study("digits-mlp", home=swept.home)
    answer = swept.answer
    assert {**study.to_record(), "seconds": answer["seconds"]} == answer
    complete = study.trials[study.trials["state"] == "complete"]
    best = answer["best"]
    assert complete["val_accuracy"].max() == best["value"]
    row = study.trials.loc[best["number"]]
    assert {name: row[name] for name in study.searched} == best["params"]
    assert row["run_id"] == best["run_id"]
    last = study.epochs[study.epochs["trial"] == best["number"]].iloc[-1]
    assert last["val_accuracy"] == best["value"]
    assert study.plot_history()._repr_svg_()  # type: ignore[attr-defined]
    assert str(best["run_id"]) in study._repr_html_()


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
from experiments import load_study, sweep

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
def test_after_an_interrupt_what_was_tried_is_recorded(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "recorded\n"), done.stderr
