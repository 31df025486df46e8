"""Single runs whose process died: whichever command comes next settles them, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from assay.experiments.run.orphans import orphaned_runs, settle_orphaned_runs
from assay.experiments.workspace import StorePaths
from assay.search.events import TrialBegun, TrialEnded
from assay.search.journal import Journal, last
from tests.experiments.test_tracking import opened


@pytest.fixture
def places(tmp_path: Path) -> StorePaths:
    return StorePaths.choose(home=tmp_path / "home")


def died(places: StorePaths, name: str, study: str | None) -> Path:
    """Leave what a process leaves that died between a trial's end and its closing; return its model."""
    with Journal(places.home.journal(name)) as journal:
        journal.append(opened(study))
        journal.append(TrialBegun(trial=0, seed=1, params={}, searched={}, origin="run"))
        journal.append(TrialEnded(trial=0, state="complete", values=(0.5,)))
    model = places.home.models(name) / "trial-0000.keras"
    model.parent.mkdir(parents=True)
    model.write_text("a network")
    return model


def test_a_run_that_died_before_it_was_closed_has_its_model_in_mlflow(places: StorePaths) -> None:
    model = died(places, "run-20260101-120000-1", study=None)
    assert orphaned_runs(places) == {"run-20260101-120000-1": "a single run that was begun and never ended"}
    settle_orphaned_runs(places)
    assert (orphaned_runs(places), model.exists()) == ({}, False)
    client = MlflowClient(places.tracking_uri)
    (run,) = client.search_runs([one.experiment_id for one in client.search_experiments()])
    assert run.data.tags["assay.state"] == "complete"
    assert Path(client.download_artifacts(run.info.run_id, "model/data/model.keras")).read_text() == "a network"


def test_a_study_that_is_called_like_a_run_is_none(places: StorePaths) -> None:
    model = died(places, "run-1", study="run-1")
    assert orphaned_runs(places) == {}
    settle_orphaned_runs(places)
    assert isinstance(last(places.home.journal("run-1")), TrialEnded)
    assert model.exists()
