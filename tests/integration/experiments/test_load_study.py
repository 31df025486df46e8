"""`load_study` reads a study from its stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assay.experiments.api import compare, finalize, load_study, reproduce, run, sweep
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError
from assay.search.events import EpochEnded, StudyOpened, TrialBegun
from assay.search.journal import Journal
from tests.helpers.command import Swept
from tests.helpers.recorded_studies import (
    HOSTILE,
    ONE,
    ONE_ENDS,
    STUDY_ID,
    TWO,
    TWO_ENDS,
    record_study,
)


@pytest.fixture
def store_paths(tmp_path: Path) -> StorePaths:
    return StorePaths.choose(home=tmp_path)


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_a_loaded_study_equals_the_result_of_its_sweep(swept: Swept) -> None:
    before = files(swept.home)
    read = load_study("digits-mlp", home=swept.home)
    answer = swept.answer
    assert {**read.to_record(), "seconds": answer["seconds"]} == answer
    assert read.seconds is None
    assert sum(read.counts.values()) == len(read.trials)
    assert read.best is not None
    best = read.trials.loc[read.best["number"]]
    assert (best["val_accuracy"], best["run_id"]) == (read.best["value"], read.best["run_id"])
    complete = read.trials[read.trials["state"] == "complete"]
    assert complete["val_accuracy"].max() == read.best["value"]
    assert {name: best[name] for name in read.searched} == answer["best"]["params"]
    assert (read.trials["train_seconds"] > 0).all()
    epochs = read.epochs[read.epochs["trial"] == read.best["number"]]
    assert [*epochs["epoch"]] == [1, 2, 3, 4]
    assert epochs["val_accuracy"].iloc[-1] == read.best["value"]
    assert read.plot_history()._repr_svg_()  # type: ignore[attr-defined]
    assert str(read.best["run_id"]) in read._repr_html_()
    assert [*read.finalists.columns] == ["trial", "baseline", "seed", "state", "val_accuracy"]
    assert files(swept.home) == before


def test_each_trial_has_a_complete_row(store_paths: StorePaths) -> None:
    record_study(store_paths, "one", ONE, ONE_ENDS)
    read = load_study("one", home=store_paths.workspace.path)
    assert [*read.trials["state"]] == [
        "complete",
        "complete",
        "pruned",
        "failed: crashed",
        "running",
    ]
    assert [*read.trials.columns] == [
        *("state", "val_accuracy", "hidden_units", "batch_size", "seed", "origin", "epochs"),
        *("train_seconds", "epoch_seconds", "parameters", "peak_memory_bytes", "error", "run_id"),
    ]
    assert read.trials.index.name == "trial"
    assert read.trials["val_accuracy"].fillna(-1).tolist() == [0.5, 0.9, 0.5, -1, -1]
    assert read.trials["hidden_units"].tolist()[:2] == [[8, 4], [16]]
    assert read.trials["parameters"].dtype == "Int64"
    assert read.trials.loc[3, "error"] == HOSTILE
    assert read.counts == {"complete": 2, "pruned": 1, "failed": 1, "interrupted": 0}
    assert read.experiment == "mine"
    assert read.best == {
        "number": 1,
        "value": 0.9,
        "params": {"hidden_units": [16], "batch_size": 17},
        "run_id": None,
    }
    assert len(read.epochs) == 10
    assert [*read.epochs.columns] == ["trial", "epoch", "val_accuracy", "loss", "seconds"]


def test_several_objectives_have_a_front_and_no_best_trial(store_paths: StorePaths) -> None:
    record_study(store_paths, "two", TWO, TWO_ENDS)
    read = load_study("two", home=store_paths.workspace.path)
    assert read.best is None
    assert read.pareto is not None
    assert [(trial["number"], trial["values"]) for trial in read.pareto] == [
        (1, [0.9, 20]),
        (0, [0.5, 10]),
    ]
    assert read.trials.loc[1, "parameters"] == 20


def test_a_study_of_another_home_has_only_the_data_of_the_storage(
    store_paths: StorePaths, tmp_path: Path
) -> None:
    record_study(store_paths, "one", ONE, ONE_ENDS)
    read = load_study("one", home=tmp_path / "other", storage=store_paths.storage)
    assert read.experiment == "unknown"
    assert read.epochs.empty
    assert read.trials["hidden_units"].tolist()[0] == "[8, 4]"
    assert read.trials["seed"].tolist() == [0, 1, 2, 3, 4]
    assert not (tmp_path / "other").exists()


def test_the_journal_of_an_earlier_study_of_the_same_name_is_ignored(
    store_paths: StorePaths,
) -> None:
    record_study(store_paths, "one", ONE, [None])
    with Journal(store_paths.workspace.journal("one")) as journal:
        journal.append(
            StudyOpened(
                study="one", study_id="other", experiment="e", provenance={}, text="", data={}
            )
        )
        journal.append(TrialBegun(trial=0, seed=9, params={}, searched={}, origin="other"))
    read = load_study("one", home=store_paths.workspace.path)
    assert (read.experiment, read.trials.loc[0, "origin"]) == ("mine", "tpe")


def test_epochs_that_were_trained_again_count_once(store_paths: StorePaths) -> None:
    record_study(store_paths, "one", ONE, [None])
    with Journal(store_paths.workspace.journal("one")) as journal:
        journal.append(
            StudyOpened(
                study="one", study_id=STUDY_ID, experiment="mine", provenance={}, text="", data={}
            )
        )
        journal.append(
            EpochEnded(trial=0, epoch=1, metrics={"val_accuracy": 0.1, "loss": 2.0}, seconds=0.1)
        )
    read = load_study("one", home=store_paths.workspace.path)
    assert read.epochs["val_accuracy"].tolist() == [0.1]


def test_a_study_without_trials_is_empty(store_paths: StorePaths) -> None:
    record_study(store_paths, "none", ONE, [])
    read = load_study("none", home=store_paths.workspace.path)
    assert (len(read.trials), read.best) == (0, None)
    assert read.importances == {"val_accuracy": {}}
    assert read.effects.empty


def test_effects_are_a_table(store_paths: StorePaths) -> None:
    record_study(store_paths, "two", TWO, TWO_ENDS)
    effects = load_study("two", home=store_paths.workspace.path).effects
    assert [*effects.columns] == ["metric", "hyperparameter", "group", "n", "mean", "sd"]
    assert effects["n"].dtype == "int64"
    rows = effects[(effects["metric"] == "parameters") & (effects["group"] == "[8, 4]")]
    ((n, mean, sd),) = rows[["n", "mean", "sd"]].to_numpy().tolist()
    assert (n, mean, sd) == (2, 20.0, pytest.approx(200**0.5))
    alone = effects[(effects["metric"] == "parameters") & (effects["group"] == "[16]")]
    assert alone["n"].tolist() == [1]
    assert alone["sd"].isna().all()


def test_a_missing_study_creates_no_storage(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is none yet"):
        load_study("one", home=tmp_path / "home")
    assert not files(tmp_path)


def test_the_nearest_study_is_named(store_paths: StorePaths) -> None:
    record_study(store_paths, "digits-mlp", ONE, [])
    with pytest.raises(RequestError, match="Did you mean 'digits-mlp'"):
        load_study("digit-mlp", home=store_paths.workspace.path)


def test_an_unknown_importance_evaluator_is_refused(store_paths: StorePaths) -> None:
    with pytest.raises(RequestError, match="Did you mean 'fanova'"):
        load_study("one", home=store_paths.workspace.path, importance="fanov")


class Lines:
    """A value that is written on two lines."""

    def __repr__(self) -> str:
        return "one\ntwo"


WRONG = [3, None, 1.5, Path("s"), Lines(), ["s"], 10**5000, b"s", True]


@pytest.mark.parametrize("value", WRONG, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "call",
    [
        lambda value, home: load_study(value, home=home),
        lambda value, home: finalize(value, home=home),
        lambda value, home: compare(value, "s", home=home),
        lambda value, home: reproduce(value, home=home),
        lambda value, home: load_study("s", storage=value or 0, home=home),
        lambda value, home: load_study("s", tracking_uri=value or 0, home=home),
        lambda value, home: load_study("s", importance=value or 0, home=home),
        lambda value, home: sweep(3 if isinstance(value, Path) else value, home=home),
        lambda value, home: run("digits-mlp", set=value or 0, home=home),
        lambda value, home: run(like=value or 0, home=home),
    ],
    ids=[
        *("load_study", "finalize", "compare", "reproduce", "storage", "tracking_uri"),
        *("importance", "sweep", "set", "like"),
    ],
)
def test_a_value_that_is_no_text_is_one_line(
    call: Callable[[Any, Path], object], value: Any, tmp_path: Path
) -> None:
    with pytest.raises(RequestError) as caught:
        call(value, tmp_path / "home")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert not (tmp_path / "home").exists()
