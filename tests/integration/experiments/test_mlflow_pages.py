"""What the pages of MLflow's UI show of a study: note, parameters, data sets, saved view."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from assay.experiments.tracking.dataset import dataset_input
from assay.experiments.tracking.follower import MlflowTracker
from assay.experiments.tracking.lookup import delete_runs, list_single_runs
from assay.experiments.tracking.recorder import RunWriter
from assay.experiments.tracking.ui import study_page
from assay.experiments.workspace import StorePaths
from assay.search.events import (
    Event,
    FinalistConfiguration,
    FinalizeJudged,
    FinalizePlan,
    StudyClosed,
    StudyOpened,
    TestSetOpened,
    TrialEnded,
)
from tests.helpers.command import invoke
from tests.helpers.tracking import BEST, PARAMS, STORY, opened, snapshot, tell, trial

DATA = {
    **opened().data,
    "name": "npz:images.npz",
    "digest": 64 * "d",
    "train_examples": 80,
    "validation_examples": 20,
    "test_examples": 10,
}
FOUND = {"assay.claim": "0.9 on 20 images\nahead of the baseline", "assay.checks": "none"}
CLOSED = StudyClosed(closing="finished", best=BEST, tags=FOUND)
NOTE = "mlflow.note.content"


def session(**changes: object) -> StudyOpened:
    known = dataclasses.replace(opened(), searched=tuple(PARAMS), fixed={"epochs": 3}, data=DATA)
    return dataclasses.replace(known, **changes)  # type: ignore[arg-type]


def study(*between: Event) -> list[Event]:
    return [session(), *STORY[1:-1], *between, CLOSED]


def finalize(opening: int = 1) -> list[Event]:
    plan = FinalizePlan(
        opening, 1, 2, splits=False, seed=1, finalists=(FinalistConfiguration(0, PARAMS),)
    )
    return [
        session(finalize=plan),
        TestSetOpened(opening=opening, leader=0, trials=(0,)),
        FinalizeJudged(opening=opening, leader=0, verdicts={"0": "leader"}, text=("It leads.",)),
        StudyClosed(closing="finished"),
    ]


def runs_of(store: str) -> Sequence[Run]:
    client = MlflowClient(store)
    (found,) = [one for one in client.search_experiments() if one.name == "experiment"]
    runs: Sequence[Run] = client.search_runs([found.experiment_id])
    return runs


def parent_of(store: str) -> Run:
    (parent,) = [run for run in runs_of(store) if run.info.run_name == "study"]
    return parent


def splits(run: Run) -> dict[str, object]:
    return {
        used.tags[0].value: (used.dataset.name, json.loads(used.dataset.profile))
        for used in run.inputs.dataset_inputs
    }


def stores_at(home: Path) -> StorePaths:
    return StorePaths.choose(home=home)


def test_a_study_has_a_note_its_fixed_parameters_and_its_data(tmp_path: Path, store: str) -> None:
    tell(tmp_path, store, study())
    parent = parent_of(store)
    assert parent.data.params == {"epochs": "3"}, "searched ones are on the trials"
    note = parent.data.tags[NOTE]
    assert "**Best of the search: val&#95;accuracy 0.9000**" in note
    assert "| hidden&#95;units | 32 |" in note
    assert "- ahead of the baseline" in note
    assert splits(parent) == {
        "training": ("npz:images.npz/training", {"num_rows": 80}),
        "validation": ("npz:images.npz/validation", {"num_rows": 20}),
    }
    children = [run for run in runs_of(store) if run.info.run_name != "study"]
    assert not any(run.inputs.dataset_inputs for run in children)


def test_finalize_adds_its_part_and_the_test_set(tmp_path: Path, store: str) -> None:
    tell(tmp_path, store, study())
    (tmp_path / "finalize").mkdir()
    tell(tmp_path / "finalize", store, finalize()[:1])
    assert "test" not in splits(parent_of(store)), "the test set is still closed"
    tell(tmp_path / "finalize", store, finalize()[1:])
    parent = parent_of(store)
    assert splits(parent)["test"] == ("npz:images.npz/test", {"num_rows": 10})
    note = parent.data.tags[NOTE]
    assert note.index("**Finalized: trial 0 leads.**") < note.index("**Best of the search")
    assert "- It leads." in note
    once = snapshot(store)
    for folder in (tmp_path / "finalize", tmp_path):
        (folder / "journal.tracked").unlink()
        tell(folder, store, [])
    assert snapshot(store) == once


def test_a_resumed_study_keeps_what_a_user_wrote(tmp_path: Path, store: str) -> None:
    tell(tmp_path, store, study())
    client, parent = MlflowClient(store), parent_of(store)
    edited = f"mine above\n{parent.data.tags[NOTE]}\nmine below"
    client.set_tag(parent.info.run_id, NOTE, edited)
    better = trial(5, TrialEnded(trial=5, state="complete", values=(0.95,)))
    best = (dataclasses.replace(BEST[0], trial=5, values=(0.95,)),)
    again = session(fixed={"epochs": 3, "dropout": 0.0})
    tell(tmp_path, store, [again, *better, dataclasses.replace(CLOSED, best=best)])
    parent = parent_of(store)
    note = parent.data.tags[NOTE]
    assert (note.startswith("mine above\n"), note.endswith("\nmine below")) == (True, True)
    assert ("0.9500" in note, "0.9000" in note) == (True, False)
    assert parent.data.params == {"epochs": "3", "dropout": "0.0"}
    assert "assay.refused" not in parent.data.tags


def test_a_parameter_that_differs_is_left_as_it_was_recorded_first(
    tmp_path: Path, store: str
) -> None:
    tell(tmp_path, store, study())
    tell(tmp_path, store, [session(fixed={"epochs": 4}), CLOSED])
    assert parent_of(store).data.params == {"epochs": "3"}


def test_journals_of_earlier_releases_have_a_note_but_no_view(tmp_path: Path, store: str) -> None:
    tell(tmp_path, store, STORY)
    parent = parent_of(store)
    assert "**Best of the search" in parent.data.tags[NOTE]
    assert "viewStateShareKey" not in parent.data.tags[NOTE]
    assert study_page(stores_at(tmp_path), "study").startswith("/#/compare-runs?runs=")


@pytest.mark.parametrize("shape", [None, "8 x 8", ["a"], [8, [8]]])
def test_data_of_a_damaged_journal_are_logged_without_their_shape(shape: object) -> None:
    strange = {"name": 7, "digest": None, "input_shape": shape, "outputs": "x"}
    used = dataset_input(strange, "training").dataset
    assert (used.name, json.loads(used.profile)) == ("7/training", {})
    schema = json.loads(used.schema)["mlflow_tensorspec"]
    assert json.loads(schema["features"])[0]["tensor-spec"]["shape"] == [-1]


def test_another_split_of_the_same_data_is_another_data_set() -> None:
    # MLflow keeps the numbers that were logged first for a name and a digest.
    first, second = (
        dataset_input({**DATA, "train_examples": count}, "training").dataset for count in (80, 60)
    )
    assert (first.name, first.digest[:8]) == (second.name, second.digest[:8])
    assert first.digest != second.digest


def test_the_address_of_a_study_names_its_saved_view(tmp_path: Path, store: str) -> None:
    tell(tmp_path, store, study())
    page = study_page(stores_at(tmp_path), "study")
    assert "viewStateShareKey=assay-5eed" in page
    assert "workflowType=machine_learning" in page
    experiment = MlflowClient(store).get_experiment_by_name("experiment")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    view = json.loads(experiment.tags["mlflow.sharedViewState.assay-5eed"])
    (chart,) = json.loads(view["state"])["compareRunCharts"]
    assert chart["selectedParams"] == list(PARAMS)


def test_a_view_that_a_user_changed_is_kept_and_deleted_with_the_study(
    tmp_path: Path, store: str
) -> None:
    tell(tmp_path, store, study())
    client, parent = MlflowClient(store), parent_of(store)
    experiment, tag = parent.info.experiment_id, "mlflow.sharedViewState.assay-5eed"
    client.set_experiment_tag(experiment, tag, "mine")
    tell(tmp_path, store, [session(), CLOSED])
    assert client.get_experiment(experiment).tags[tag] == "mine"
    delete_runs(stores_at(tmp_path), [run.info.run_id for run in runs_of(store)])
    assert tag not in client.get_experiment(experiment).tags


def test_a_run_with_a_model_is_shown_with_it(
    tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunWriter, "log_model", lambda *arguments: None)
    with_model = functools.partial(MlflowTracker, find_model=lambda trial: tmp_path)
    monkeypatch.setattr("tests.helpers.tracking.MlflowTracker", with_model)
    best = (dataclasses.replace(BEST[0], model="model.keras"),)
    tell(tmp_path, store, [*study()[:-1], dataclasses.replace(CLOSED, best=best)])
    parent = parent_of(store)
    assert parent.data.tags["assay.model"] == "0"
    (model,) = json.loads(parent.data.tags["mlflow.log-model.history"])
    assert (model["artifact_path"], model["run_id"]) == ("model", parent.info.run_id)


def test_single_runs_are_listed_by_name_the_newest_first(tmp_path: Path, store: str) -> None:
    tell(tmp_path, store, study())
    end = TrialEnded(trial=0, state="complete", values=(0.25,))
    for number, name in enumerate(("experiment width=8", "experiment width=9")):
        single = session(study=None, study_id=f"single{number}", name=name, time=1000.0 + number)
        events = [dataclasses.replace(one, time=1000.0 + number) for one in trial(0, end)]
        (tmp_path / name).mkdir()
        tell(tmp_path / name, store, [single, *events, StudyClosed(closing="finished")])
    found = list_single_runs(stores_at(tmp_path))
    assert [run.name for run in found] == ["experiment width=9", "experiment width=8"]
    done = invoke("list", "runs", "--json", "--home", str(tmp_path))
    listed = done.answer["runs"][found[0].run_id]
    assert (listed["state"], listed["value"], listed["experiment"]) == (
        "complete",
        0.25,
        "experiment",
    )
    assert listed["started"] == "1970-01-01T00:16:41+00:00"
    said = invoke("list", "runs", "--home", str(tmp_path)).out
    assert f"{found[1].run_id}  experiment width=8; complete; val_accuracy 0.2500; 1970" in said
    with_data = [run for run in runs_of(store) if run.info.run_name == "experiment width=8"]
    assert set(splits(with_data[0])) == {"training", "validation"}
