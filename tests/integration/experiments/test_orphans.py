"""The next command settles single runs whose process died, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from assay.experiments.run.orphans import find_orphaned_runs, settle_orphaned_runs
from assay.experiments.workspace import StorePaths
from assay.search.events import TrialBegun, TrialEnded
from assay.search.journal import Journal, last_event
from tests.helpers.tracking import opened


@pytest.fixture
def store_paths(tmp_path: Path) -> StorePaths:
    return StorePaths.choose(home=tmp_path / "home")


def died(store_paths: StorePaths, name: str, study: str | None) -> Path:
    """Simulate a crash between a trial's end and its closing; return its model."""
    with Journal(store_paths.workspace.journal(name)) as journal:
        journal.append(opened(study))
        journal.append(TrialBegun(trial=0, seed=1, params={}, searched={}, origin="run"))
        journal.append(TrialEnded(trial=0, state="complete", values=(0.5,)))
    model = store_paths.workspace.models(name) / "trial-0000.keras"
    model.parent.mkdir(parents=True)
    model.write_text("a network")
    return model


def test_the_model_of_an_orphaned_run_is_logged(
    store_paths: StorePaths,
) -> None:
    model = died(store_paths, "run-20260101-120000-1", study=None)
    assert find_orphaned_runs(store_paths) == {
        "run-20260101-120000-1": "a single run that never ended"
    }
    settle_orphaned_runs(store_paths)
    assert (find_orphaned_runs(store_paths), model.exists()) == ({}, False)
    client = MlflowClient(store_paths.tracking_uri)
    (run,) = client.search_runs([one.experiment_id for one in client.search_experiments()])
    assert run.data.tags["assay.state"] == "complete"
    assert (
        Path(client.download_artifacts(run.info.run_id, "model/data/model.keras")).read_text()
        == "a network"
    )


def test_a_study_named_like_a_run_is_not_an_orphan(store_paths: StorePaths) -> None:
    model = died(store_paths, "run-1", study="run-1")
    assert find_orphaned_runs(store_paths) == {}
    settle_orphaned_runs(store_paths)
    assert isinstance(last_event(store_paths.workspace.journal("run-1")), TrialEnded)
    assert model.exists()
