"""Each lecture experiment at toy size, through workers, Optuna and MLflow, and its report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.experiments.lectures.catalog import NAMES, load_experiments
from assay.experiments.lectures.run import run_experiments
from assay.experiments.lectures.write import write_outcomes
from assay.experiments.results.load import read_study
from assay.experiments.tracking.store import mlflow_settings
from assay.experiments.workspace import StorePaths

MOST_BYTES = 1_500_000


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_runs_and_can_be_found_in_mlflow(
    name: str, real_data: Path, tmp_path: Path
) -> None:
    store_paths = StorePaths.choose(home=tmp_path / "home", data_dir=real_data)
    with mlflow_settings():
        (outcome,) = run_experiments(load_experiments([name]), store_paths, "toy", print)
        assert outcome.error is None
        assert len(outcome.verdicts) == len(outcome.experiment.rules)
        page = write_outcomes([outcome], tmp_path / "report")
        assert outcome.measured is not None
        for study in outcome.measured.studies:
            found = read_study(study, store_paths)
            assert found.parent_run_id is not None
            assert found.finalist_runs
    assert page.stat().st_size < MOST_BYTES
    twin = page.with_suffix(".md").read_text()
    assert outcome.experiment.claim.replace("*", "") in twin.replace("\\", "")
    assert list((tmp_path / "report" / "figures").glob("*.svg"))
    (record,) = json.loads((tmp_path / "report" / "results.json").read_text())
    assert [one["verdict"] for one in record["rules"]] == list(outcome.verdicts)
