"""`assay show` of a study, a trial or a run."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.experiments.api import load_study
from assay.experiments.console import tables
from assay.experiments.console.show import print_study, sort_trials
from assay.experiments.workspace import StorePaths
from assay.search.events import EpochEnded, StudyOpened, TrialEnded
from assay.search.journal import Journal
from assay.search.system.files import StudyLock
from tests.helpers.command import Swept, invoke
from tests.helpers.recorded_studies import (
    ONE,
    ONE_ENDS,
    STUDY_ID,
    TWO,
    TWO_ENDS,
    complete,
    pruned,
    record_study,
)

Shown = Callable[..., str]


@pytest.fixture
def store_paths(tmp_path: Path) -> StorePaths:
    return StorePaths.choose(home=tmp_path)


@pytest.fixture
def shown(store_paths: StorePaths) -> Shown:
    """Run `assay show` on the recorded studies; return its output."""

    def run(*arguments: str) -> str:
        done = invoke("show", *arguments, "--home", str(store_paths.workspace.path))
        assert done.code == 0, done.err
        return done.out

    return run


def numbers(text: str) -> list[int]:
    """Return the trial numbers of the table in order."""
    lines = text.splitlines()
    start = next(
        index for index, line in enumerate(lines) if line.split()[:2] == ["trial", "state"]
    )
    rows = [line[2:] for line in lines[start + 1 :] if line[:2] in ("  ", "* ")]
    return [int(row.split()[0]) for row in rows if row[:1].isdigit()]


def test_a_study_shows_its_trials_the_best_first(shown: Shown, store_paths: StorePaths) -> None:
    record_study(store_paths, "one", ONE, ONE_ENDS)
    text = shown("one")
    assert "one: 2 complete, 1 pruned, 1 failed, 1 running" in text
    assert "experiment mine; maximize val_accuracy" in text
    assert "best: 0.9000 (trial 1)" in text
    assert "failed: crashed" in text
    assert numbers(text) == [1, 0, 2, 4, 3]
    assert max(map(len, text.splitlines())) <= 200


def test_interrupted_trials_are_counted_apart(shown: Shown, store_paths: StorePaths) -> None:
    ends = [*ONE_ENDS, TrialEnded(trial=5, state="failed", reason="interrupted")]
    record_study(store_paths, "one", ONE, ends)
    assert "one: 2 complete, 1 pruned, 1 failed, 1 interrupted, 1 running" in shown("one")
    answer = json.loads(shown("one", "--json"))
    counts = {"complete": 2, "pruned": 1, "failed": 1, "interrupted": 1}
    assert answer["trials"] == counts
    assert answer["table"][-1]["state"] == "failed: interrupted"


def test_a_running_trial_shows_its_process(shown: Shown, store_paths: StorePaths) -> None:
    record_study(store_paths, "one", ONE, ONE_ENDS)
    left = "no sweep runs the study: run it again, or 'assay doctor --fix', to settle these trials"
    assert left in shown("one").splitlines()
    with StudyLock(store_paths.workspace.journal("one").with_suffix(".lock"), "one"):
        assert f"study 'one' is being run by process {os.getpid()} since " in shown("one")
    record_study(store_paths, "two", TWO, TWO_ENDS)
    assert "no sweep runs the study" not in shown("two")  # since nothing runs


@pytest.mark.parametrize(
    ("column", "order"), [("parameters", [0, 1, 2, 3]), ("val_accuracy", [1, 0, 2, 3])]
)
def test_trials_can_be_sorted(
    shown: Shown, store_paths: StorePaths, column: str, order: list[int]
) -> None:
    record_study(store_paths, "two", TWO, TWO_ENDS)
    assert numbers(shown("two", "--sort", column)) == order
    assert numbers(shown("two", "--sort", "trial")) == [0, 1, 2, 3]


def test_the_front_is_marked(shown: Shown, store_paths: StorePaths) -> None:
    record_study(store_paths, "two", TWO, TWO_ENDS)
    text = shown("two")
    assert [
        line.split()[1]
        for line in text.splitlines()
        if line.startswith("* ") and "front" not in line
    ] == [
        "1",
        "0",
    ]
    assert "on the Pareto front" in text


def test_thirty_trials_are_shown_by_default(shown: Shown, store_paths: StorePaths) -> None:
    ends: list[TrialEnded | None] = [complete(number, number / 100) for number in range(33)]
    record_study(store_paths, "many", ONE, ends)
    text = shown("many")
    assert numbers(text) == [*range(32, 2, -1)]
    assert "3 more trials: --all" in text
    assert numbers(shown("many", "--all")) == [*range(32, -1, -1)]


def test_the_importance_evaluator_can_be_chosen(shown: Shown, store_paths: StorePaths) -> None:
    record_study(store_paths, "many", ONE, [complete(number, number / 10) for number in range(50)])
    assert "MDI has no test" in shown("many")  # the default of its experiment
    assert "PED-ANOVA has no test" in shown("many", "--importance", "ped-anova")
    told = (
        "importance for val_accuracy: nothing can be told from chance in 50 trials (main effects "
        "only)"
    )
    assert told in shown("many", "--importance", "ranks").splitlines()


def test_importance_is_shown_beside_effects(shown: Shown, store_paths: StorePaths) -> None:
    # The value follows hidden_units, which is [8, 4] in every second trial.
    ends: list[TrialEnded | None] = [
        complete(number, 0.9 * (number % 2) + number % 7 / 100) for number in range(40)
    ]
    record_study(store_paths, "many", ONE, [*ends, pruned(40)])
    text = shown("many", "--importance", "ranks")
    lines = [line.split() for line in text.splitlines()]
    bar = next(line for line in lines if len(line) > 1 and "█" in line[1])
    assert bar[0] == "hidden_units"
    assert "95 % interval" in " ".join(bar)
    assert "cannot be told from chance: batch_size" in text
    assert "without 1 pruned trial: complete trials are a selection" in text
    assert "differences may be chance, except where marked *" in text
    assert ["*", "hidden_units", "[8,", "4]", "20", "0.0290", "0.0205"] in lines
    assert text.index("[16] ", text.index("effects")) < text.index("29 to 42")  # the shown first
    assert ["batch_size", "16", "to", "28", "13"] in [line[:5] for line in lines]
    record = json.loads(shown("many", "--importance", "ranks", "--json"))
    assert list(record["importances"]) == ["hidden_units"]
    assert record["importance"]["shares"]["hidden_units"]["passed"] is True
    assert record["importance"]["shares"]["batch_size"]["passed"] is False
    assert record["importance"]["effects"]["hidden_units"][0]["n"] == 20


def test_without_importance_a_sentence_says_why(shown: Shown, store_paths: StorePaths) -> None:
    record_study(store_paths, "one", ONE, ONE_ENDS)
    assert (
        "importance for val_accuracy: 'ranks' takes at least 20 complete trials; the study has "
        "2, beside 1 pruned"
    ) in shown("one", "--importance", "ranks")
    record_study(store_paths, "two", TWO, TWO_ENDS)
    text = shown("two", "--importance", "ranks")
    assert "importance for val_accuracy: 'ranks' takes" in text
    assert "importance for parameters: 'ranks' takes" in text


def test_a_trial_shows_all_its_data(shown: Shown, store_paths: StorePaths) -> None:
    record_study(store_paths, "one", ONE, ONE_ENDS)
    text = shown("one", "--trial", "1")
    assert "trial 1 of one: complete" in text
    assert "val_accuracy: 0.9000" in text
    lines = {
        line.split()[0]: line.split()[1:] for line in text.splitlines() if line.startswith("  ")
    }
    assert lines["hidden_units"] == ["[16]"]
    assert lines["peak_memory_bytes"] == ["1,024"]
    assert lines["val_accuracy"] == ["▁█", "0.2500", "0.2500", "0.5000", "0.5000"]
    assert lines["2"] == ["0.5000", "0.5000"]


def test_an_error_is_printed_without_markup(shown: Shown, store_paths: StorePaths) -> None:
    record_study(store_paths, "one", ONE, ONE_ENDS)
    text = shown("one", "--trial", "3")
    assert "boom [red]bold[/red] \\x1b[31m<script>\n  second line" in text
    assert "\x1b" not in text


def test_a_diverged_trial_has_numbers_and_no_curve(shown: Shown, store_paths: StorePaths) -> None:
    record_study(store_paths, "one", ONE, [None])
    with Journal(store_paths.workspace.journal("one")) as journal:
        journal.append(
            StudyOpened(
                study="one", study_id=STUDY_ID, experiment="mine", provenance={}, text="", data={}
            )
        )
        metrics = {"val_accuracy": 0.75, "loss": math.nan}
        journal.append(EpochEnded(trial=0, epoch=3, metrics=metrics, seconds=0.1))
    lines = {
        line.split()[0]: line.split()[1:]
        for line in shown("one", "--trial", "0").splitlines()
        if line.split()
    }
    assert lines["loss"] == ["1.0000", "0.5000", "1.0000", "nan"]
    assert json.loads(shown("one", "--trial", "0", "--json"))["curve"]["loss"] == [1.0, 0.5, None]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--trial", "9"), "study 'one' has no trial 9: it has 0 to 4."),
        (("--sort", "val_acuracy"), "Did you mean 'val_accuracy'"),
    ],
)
def test_a_missing_study_trial_or_run_is_named(
    store_paths: StorePaths, arguments: tuple[str, ...], words: str
) -> None:
    record_study(store_paths, "one", ONE, ONE_ENDS)
    done = invoke("show", "one", *arguments, "--home", str(store_paths.workspace.path))
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert words in done.err


def test_json_contains_the_table_of_a_study_and_the_curve_of_a_trial(
    shown: Shown, store_paths: StorePaths
) -> None:
    record_study(store_paths, "one", ONE, ONE_ENDS)
    study = json.loads(shown("one", "--json"))
    assert study["trials"] == {"complete": 2, "pruned": 1, "failed": 1, "interrupted": 0}
    assert [(row["trial"], row["val_accuracy"]) for row in study["table"]][:2] == [
        (1, 0.9),
        (0, 0.5),
    ]
    assert study["table"][-1]["parameters"] is None
    trial = json.loads(shown("one", "--trial", "3", "--json"))
    assert (trial["state"], trial["values"]) == ("failed: crashed", {})
    assert trial["curve"] == {"val_accuracy": [0.25, 0.5], "loss": [1.0, 0.5]}
    assert trial["params"] == {"hidden_units": [16], "batch_size": 19, "epochs": 2}


def test_a_run_shows_the_same_as_its_trial(swept: Swept) -> None:
    best = swept.answer["best"]
    trial = invoke(
        "show", "digits-mlp", "--trial", str(best["number"]), "--json", "--home", str(swept.home)
    ).answer
    run = invoke("show", best["run_id"], "--json", "--home", str(swept.home)).answer
    for same in (
        "study",
        "number",
        "experiment",
        "run_id",
        "state",
        "seed",
        "origin",
        "curve",
        "costs",
        "error",
    ):
        assert (
            run[same] == pytest.approx(trial[same]) if same == "costs" else run[same] == trial[same]
        )
    assert run["params"] == {name: str(value) for name, value in trial["params"].items()}
    parent = invoke("show", swept.answer["parent_run_id"], "--home", str(swept.home))
    assert parent.out.startswith("digits-mlp: ")


def test_a_single_run_is_shown_by_its_id(tmp_path: Path) -> None:
    answer = invoke("run", "digits-mlp", "--epochs", "2", "--json", "--home", str(tmp_path)).answer
    done = invoke("show", answer["run_id"], "--home", str(tmp_path))
    assert done.code == 0, done.err
    assert f"run {answer['run_id']}: complete" in done.out
    assert "val_accuracy" in done.out


def test_it_fits_a_terminal_of_a_hundred_columns(
    store_paths: StorePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_study(store_paths, "one", ONE, ONE_ENDS)
    monkeypatch.setattr(tables, "_LOG_COLUMNS", 100)
    study = load_study("one", home=store_paths.workspace.path)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        print_study(study, sort_trials(study), show_all=False, runner="")
    assert max(map(len, out.getvalue().splitlines())) <= 100 + len(str(store_paths.workspace.path))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"origin":"tpe"', '"origin":"\\ud800"'),
        ('"reason":"crashed"', '"reason":"\\ud800"'),
        ('"error":"boom', '"error":"\\uDFFF'),
        ('"val_accuracy"', '"\\udcff"'),
        ('"batch_size"', '"\\udcff"'),
        ('"epochs":2', '"epochs":"\\udcff"'),
        ('"experiment":"mine"', '"experiment":"\\udcff"'),
    ],
)
def test_halves_of_characters_are_shown_escaped(before: str, after: str, tmp_path: Path) -> None:
    store_paths = StorePaths.choose(home=tmp_path / "home")
    store_paths.workspace.create()
    record_study(store_paths, "s", ONE, ONE_ENDS)
    journal = store_paths.workspace.journal("s")
    assert before in journal.read_text()
    journal.write_text(journal.read_text().replace(before, after))
    for words in (
        ["show", "s"],
        ["show", "s", "--trial", "3"],
        ["show", "s", "--json"],
        ["doctor"],
    ):
        done = invoke(*words, "--home", str(tmp_path / "home"))
        assert done.code == (words == ["doctor"]), (words, done.err)
        (done.out + done.err).encode()
