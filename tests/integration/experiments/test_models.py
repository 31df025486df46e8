"""The address of a model is given only if MLflow has the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from assay.experiments.api import load_study
from assay.experiments.run import execution
from tests.helpers.command import Done, invoke

REASON = "the model could not be kept: nets.py, line 3: it has no get_config"

FRONT = """
title = "two objectives"
[data]
name = "digits"
[model]
family = "mlp"
[train]
epochs = 1
[space]
hidden_units = { low = 4, high = 400 }
[search]
trials = 5
sampler = "random"
pruner = "none"
objectives = ["maximize val_accuracy", "maximize val_loss"]  # every trial is on the front
any_direction = true
"""


@pytest.fixture
def forgetful(quick_training: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "TRAINER", "tests.helpers.stub_trainer:ForgetfulTrainer")


def sweep(
    home: Path, experiment: str = "digits-mlp", forgets: str = "none", trials: int = 2
) -> Done:
    options = ("--trials", str(trials), "--epochs", "1", "--workers", "1", "--home", str(home))
    done = invoke("sweep", experiment, *options, "--json", FORGETS=forgets)
    assert done.code == 0, done.err
    return done


def show(home: Path, *arguments: str) -> tuple[str, dict[str, Any]]:
    """Return what is printed, and the answer of --json."""
    text = invoke("show", *arguments, "--home", str(home))
    assert text.code == 0, text.err
    return text.out, invoke("show", *arguments, "--home", str(home), "--json").answer


@pytest.mark.usefixtures("quick_training")
def test_a_model_that_was_logged_is_addressed(home: Path) -> None:
    done = sweep(home)
    address = f"runs:/{done.answer['parent_run_id']}/model"
    assert done.answer["model"] == address
    assert f"model: {address}\n" in done.err
    text, answer = show(home, "digits-mlp")
    assert answer["model"] == address
    assert f"model: {address}\n" in text
    study = load_study("digits-mlp", home=home)
    assert (study.model, study.missing_models) == (address, {})
    assert f"model: {address}" in study._repr_html_()
    best = done.answer["best"]
    assert show(home, "digits-mlp", "--trial", str(best["number"]))[1]["model"] == address
    assert show(home, best["run_id"])[1]["model"] == address
    assert show(home, "digits-mlp", "--trial", str(1 - best["number"]))[1]["model"] is None


@pytest.mark.usefixtures("forgetful")
def test_a_model_that_was_not_kept_has_no_address(home: Path) -> None:
    done = sweep(home, forgets="every")
    assert done.answer["model"] is None
    assert f"no model in MLflow: {REASON}\n" in done.err
    assert "runs:/" not in done.err
    text, answer = show(home, "digits-mlp")
    assert answer["model"] is None
    assert f"no model in MLflow: {REASON}\n" in text
    study = load_study("digits-mlp", home=home)
    assert study.model is None
    assert list(study.missing_models.values()) == [REASON]
    assert REASON in study._repr_html_()
    assert invoke("doctor", "--home", str(home)).code == 0
    assert sweep(home, forgets="every").answer["model"] is None  # nothing is trained


@pytest.mark.usefixtures("forgetful")
def test_a_model_of_an_earlier_best_trial_is_not_taken_for_the_best(home: Path) -> None:
    first = sweep(home, trials=2)
    later = sweep(home, forgets="every", trials=14)
    assert first.answer["best"]["number"] != later.answer["best"]["number"]
    assert (first.answer["model"] is None, later.answer["model"]) == (False, None)
    assert show(home, "digits-mlp")[1]["model"] is None
    # Passing the whole journal on again changes nothing of it.
    (home / "journal" / "digits-mlp.tracked").unlink()
    assert invoke("doctor", "--fix", "--home", str(home)).code == 0
    assert show(home, "digits-mlp")[1]["model"] is None


@pytest.mark.usefixtures("forgetful")
def test_each_trial_of_a_front_has_its_own_model(home: Path, tmp_path: Path) -> None:
    (tmp_path / "front.toml").write_text(FRONT)
    done = sweep(home, str(tmp_path / "front.toml"), forgets="odd", trials=5)
    client = MlflowClient(done.answer["tracking_uri"])
    seeds = {
        trial["run_id"]: int(client.get_run(trial["run_id"]).data.tags["assay.seed"])
        for trial in done.answer["pareto"]
    }
    assert done.answer["model"] is None
    assert {seed % 2 for seed in seeds.values()} == {0, 1}, "the front has models of both kinds"
    for trial in done.answer["pareto"]:
        is_kept = seeds[trial["run_id"]] % 2 == 0
        assert trial["model"] == (f"runs:/{trial['run_id']}/model" if is_kept else None)
        line = f"no model of trial {trial['number']} in MLflow: {REASON}\n"
        assert (line in done.err) == (not is_kept)
        assert (line in show(home, "front")[0]) == (not is_kept)
        assert show(home, trial["run_id"])[1]["model"] == trial["model"]
    assert show(home, "front")[1]["pareto"] == done.answer["pareto"]


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("forgets", ["none", "every"])
def test_a_single_run_gives_its_address_if_it_has_a_model(home: Path, forgets: str) -> None:
    options = ("--epochs", "1", "--home", str(home), "--json")
    done = invoke("run", "digits-mlp", *options, FORGETS=forgets)
    assert done.code == 0, done.err
    run_id = done.answer["run_id"]
    assert done.answer["model"] == (f"runs:/{run_id}/model" if forgets == "none" else None)
    assert ("runs:/" in done.err) == (forgets == "none")
    assert show(home, run_id)[1]["model"] == done.answer["model"]


@pytest.mark.usefixtures("quick_training")
def test_a_study_of_an_earlier_release_is_looked_up_by_its_artifact(home: Path) -> None:
    done = sweep(home)
    client = MlflowClient(done.answer["tracking_uri"])
    client.delete_tag(done.answer["parent_run_id"], "assay.model")
    assert show(home, "digits-mlp")[1]["model"] == done.answer["model"]
    client.set_tag(done.answer["parent_run_id"], "assay.best_trial", "77")
    assert show(home, "digits-mlp")[1]["model"] is None


@pytest.mark.usefixtures("quick_training")
def test_all_pages_of_experiments_are_looked_through(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = sweep(home)
    # MLflow returns the newest first.
    MlflowClient(done.answer["tracking_uri"]).create_experiment("newer")
    monkeypatch.setattr("assay.experiments.tracking.lookup._PAGE_EXPERIMENTS", 1)
    answer = show(home, "digits-mlp")[1]
    assert (answer["parent_run_id"], answer["model"], answer["best"]) == (
        done.answer["parent_run_id"],
        done.answer["model"],
        done.answer["best"],
    )
