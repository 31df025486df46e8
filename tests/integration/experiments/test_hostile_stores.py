"""Control characters in the stores never reach a terminal."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from optuna.distributions import CategoricalDistribution
from optuna.trial import create_trial

from assay.experiments.config.catalog import resolve_experiment
from assay.experiments.console.live import LiveDisplay
from assay.experiments.console.plain import PlainDisplay
from assay.experiments.console.tables import SafeConsole
from assay.experiments.run.execution import Execution
from assay.experiments.run.progress import Display, SweepState
from assay.experiments.terminal_text import escaped_streams
from assay.experiments.workspace import StorePaths
from assay.search.events import EpochEnded, TrialBegun, TrialEnded
from assay.search.journal import Journal
from assay.search.objective import Objectives, ParetoFront
from tests.helpers.command import ASSAY, invoke
from tests.helpers.recorded_studies import COSTS, complete, record_study
from tests.helpers.terminal import ShellTerminal

PAYLOADS = [
    "\x1b[2J",  # ESC [: clears the screen
    "\x1b[31m",
    "\x1b]8;;http://evil\x1b\\",  # a link
    "\x1b]0;title\x07",
    "\x9b31m",  # CSI as a C1 control
    "\x9d8;;http://evil\x9c",  # OSC as a C1 control
    "\u202eesrever",  # right to left
    "\u2066isolated",
    "\r",
    "\x08",
    "\x7f",
]
HOSTILE = "".join(f"{payload}{number}" for number, payload in enumerate(PAYLOADS))
STUDY = f"a study {HOSTILE}"
METRIC = f"acc{HOSTILE}\nforged line"
RUN_NAMES = {"metrics": "key", "params": "key", "latest_metrics": "key"}


@pytest.fixture
def store_paths(tmp_path: Path, empty_store: Path) -> StorePaths:
    """Return stores in which every text is hostile."""
    store_paths = StorePaths.choose(home=tmp_path / "home")
    store_paths.workspace.create()
    failed = TrialEnded(trial=2, state="failed", reason=HOSTILE, error=f"{HOSTILE}\n{HOSTILE}")
    ends = [complete(0, 0.5, 10), complete(1, 0.4, 9), failed, None]
    record_study(store_paths, STUDY, [f"maximize {METRIC}", "minimize parameters"], ends)
    optuna.load_study(study_name=STUDY, storage=store_paths.storage).add_trial(
        create_trial(
            values=[0.1, 100],
            params={f"p{HOSTILE}": HOSTILE},
            distributions={f"p{HOSTILE}": CategoricalDistribution([HOSTILE, "other"])},
            user_attrs={"assay.seed": 4, "assay.origin": HOSTILE, "assay.state": "complete"},
        )
    )
    searched = {f"p{HOSTILE}": HOSTILE}
    with Journal(store_paths.workspace.journal(STUDY)) as journal:
        journal.append(
            TrialBegun(trial=4, seed=4, params=searched, searched=searched, origin=HOSTILE)
        )
        metrics = {METRIC: 0.5}
        journal.append(EpochEnded(trial=4, epoch=1, metrics=metrics, seconds=0.2))
        journal.append(TrialEnded(trial=4, state="complete", values=(0.1, 100), metrics=COSTS))
    shutil.copy(empty_store, store_paths.workspace.path / "mlflow.db")
    return store_paths


def plant_run(store_paths: StorePaths) -> str:
    """Add a run of hostile names to the store; return its id."""
    client = MlflowClient(store_paths.tracking_uri)
    run_id: str = client.create_run("0").info.run_id
    for step in (1, 2):
        client.log_metric(run_id, "name", 0.5, step=step)
    client.log_param(run_id, "name", HOSTILE)
    client.set_tag(run_id, "assay.error", HOSTILE)
    client.set_tag(run_id, "assay.state", HOSTILE)
    client.set_tag(run_id, "assay.origin", HOSTILE)
    database_file = store_paths.workspace.path / "mlflow.db"
    with contextlib.closing(sqlite3.connect(database_file)) as database, database:
        for (
            table,
            column,
        ) in RUN_NAMES.items():  # MLflow refuses such names, but another writer may not
            database.execute(f"UPDATE {table} SET {column} = ?", (METRIC,))
    return run_id


def is_harmless(text: str) -> bool:
    return all(letter.isprintable() or letter == "\n" for letter in text)


@pytest.mark.parametrize(
    "words",
    [
        ["list", "studies"],
        ["show", STUDY],
        ["show", STUDY, "--all", "--sort", METRIC],
        ["show", STUDY, "--trial", "2"],
        ["show", STUDY, "--trial", "4"],
        ["show", f"{STUDY} not there"],
        ["doctor"],
        ["delete", STUDY],
        ["delete", STUDY, "--yes"],
        ["ui", f"{STUDY} not there", "--no-open"],
    ],
    ids=lambda words: " ".join(words).replace(STUDY, "STUDY").replace(METRIC, "METRIC"),
)
def test_commands_escape_what_the_stores_hold(words: list[str], store_paths: StorePaths) -> None:
    done = invoke(*words, "--home", str(store_paths.workspace.path))
    assert is_harmless(done.out + done.err)
    assert "\nforged" not in done.out + done.err
    assert "\\x1b[2J0" in done.out + done.err
    assert "Traceback" not in done.err


def test_a_run_with_hostile_names_is_shown_escaped(store_paths: StorePaths) -> None:
    run_id = plant_run(store_paths)
    done = invoke("show", run_id, "--home", str(store_paths.workspace.path))
    assert done.code == 0, done.err
    assert is_harmless(done.out + done.err)
    assert done.out.count("acc\\x1b[2J0") >= 3  # the parameter, and the metric in two tables
    assert "\nforged" not in done.out


@pytest.mark.parametrize(
    "words", [["list", "studies"], ["show", STUDY], ["show", STUDY, "--trial", "4"], ["doctor"]]
)
def test_json_holds_the_texts_as_they_are(words: list[str], store_paths: StorePaths) -> None:
    done = invoke(*words, "--json", "--home", str(store_paths.workspace.path))
    assert done.out.isascii()
    assert is_harmless(done.out + done.err)
    assert json.dumps(STUDY)[1:-1] in done.out
    assert STUDY in list(strings_in(done.answer))


def strings_in(value: Any) -> Iterator[str]:
    """Yield all texts in an object of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in [*value, *(value.values() if isinstance(value, dict) else [])]:
            yield from strings_in(part)


def fail() -> None:
    """Print, and raise a bug, with control characters."""
    print(HOSTILE, file=sys.stderr)
    raise ZeroDivisionError(HOSTILE)


def test_a_traceback_is_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "assay.experiments.results.listing.summarize_studies", lambda stores: fail()
    )
    done = invoke("list", "studies", "--home", str(tmp_path / "home"))
    assert done.code == 1
    assert "Traceback" in done.err
    assert done.err.count("\\x1b[2J0") == 2
    assert is_harmless(done.out + done.err)


def show_sweep(display: Display) -> None:
    """Show a sweep whose names, values and errors are hostile."""
    execution = Execution(backend="tensorflow", device="cpu", workers=2, threads=1)
    objectives = Objectives.read([f"maximize {METRIC}"])
    experiment = resolve_experiment("digits-mlp")
    search = experiment.search.model_copy(update={"objectives": [f"maximize {METRIC}"]})
    experiment = dataclasses.replace(experiment, search=search)
    state = SweepState(
        STUDY, experiment, execution, done=0, best_trials=ParetoFront(objectives), wanted=3
    )
    searched = {"hidden_units": HOSTILE, "activation": HOSTILE}
    display.on_open(state)
    display.log(HOSTILE)
    for number in range(3):
        begun = TrialBegun(trial=number, seed=1, params=searched, searched=searched, origin=HOSTILE)
        display.on_event(begun)
        metrics = {METRIC: 0.5, "loss": 1.0}
        display.on_event(EpochEnded(trial=number, epoch=1, metrics=metrics, seconds=0.1))
    display.on_event(TrialEnded(trial=0, state="complete", values=(0.5,)))
    display.on_event(TrialEnded(trial=1, state="failed", reason=HOSTILE, error=HOSTILE))
    for number, payload in enumerate(PAYLOADS):
        print(f"{payload}{number}", file=sys.stderr)  # as a library does
    display.on_close()


def test_the_plain_lines_of_a_sweep_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    with escaped_streams():
        show_sweep(PlainDisplay())
    said = capsys.readouterr().err
    assert is_harmless(said)
    assert said.count("\\x1b[2J0") > 5
    assert "\nforged" not in said


def test_the_live_table_of_a_sweep_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    with escaped_streams():
        console = SafeConsole(True, force_terminal=True, width=300, color_system="truecolor")
        show_sweep(LiveDisplay(console))
    said = terminal.getvalue()
    # Rich's own colors and movements are there, and return to the start of a line.
    assert "\x1b[1m" in said
    assert "\x1b[1A" in said
    assert said.count("\\x1b[2J0") > 5
    for number, payload in enumerate(PAYLOADS):
        assert f"{payload}{number}" not in said, repr(payload)
    assert "\x1b]8" not in said  # Rich would make links of printed ones


def test_a_terminal_gets_colors_but_no_foreign_codes(store_paths: StorePaths) -> None:
    variables = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": os.pathsep.join(sys.path)}
    home = store_paths.workspace.path
    command = [*ASSAY, "list", "studies", "--home", str(home)]
    with ShellTerminal(command, home, variables) as terminal:
        assert terminal.wait_until(lambda: "complete" in terminal.shown), terminal.shown
        shown = terminal.shown
    assert "\x1b[1mstudies\x1b[0m" in shown
    assert "a study \\x1b[2J0" in shown
    for number, payload in enumerate(PAYLOADS):
        assert f"{payload}{number}" not in shown, repr(payload)
