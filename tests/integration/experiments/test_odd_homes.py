"""Home in a folder whose name some library reads as something else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from assay.experiments.api import load_study
from assay.experiments.tracking.store import create_user_store
from assay.models.errors import RequestError
from tests.helpers.command import Swept, invoke

ALL = "feature%2Flr ?mode=ro&uri=true#a;b=c+d@e:f'g\"h\\i{j}[k]*ä日本😀."

SWEEP = ("sweep", "digits-mlp", "--trials", "1", "--epochs", "1", "--workers", "1", "--json")


@pytest.mark.usefixtures("quick_training")
@pytest.mark.parametrize("name", ["feature%2Flr", "-dash", ALL])
def test_every_command_works_in_an_odd_home(name: str, swept: Swept, tmp_path: Path) -> None:
    folder = tmp_path / "below" / name
    home = folder / "mlruns"
    shutil.copytree(swept.home / "data", home / "data")
    commands = {
        "sweep": invoke(*SWEEP, cwd=folder),
        "show": invoke("show", "digits-mlp", "--json", cwd=folder),
        "list": invoke("list", "studies", "--json", cwd=folder),
        "doctor": invoke("doctor", "--json", cwd=folder),
    }
    for done in commands.values():
        assert done.code == 0, done.err
    run_id = commands["sweep"].answer["parent_run_id"]
    assert commands["show"].answer["best"] == commands["sweep"].answer["best"]
    assert list(commands["list"].answer["studies"]) == ["digits-mlp"]
    assert len(load_study("digits-mlp", home=home).trials) == 1
    # Through the store and below home: MLflow knows the place, and it is the right one.
    assert len(list((home / "artifacts").rglob(f"{run_id}/artifacts/model/data/model.keras"))) == 1
    assert {path.name for path in home.iterdir()} >= {"mlflow.db", "optuna.db"}
    assert [path.name for path in folder.iterdir()] == ["mlruns"]
    assert [path.name for path in folder.parent.iterdir()] == [name]


@pytest.mark.parametrize("has_tables", [False, True])
def test_a_home_that_can_hold_no_store_for_user_code_is_one_line(
    has_tables: bool, swept: Swept, tmp_path: Path
) -> None:
    """Home is not checked for it where both other stores are servers."""
    tables = swept.home / "mlflow.db" if has_tables else None
    with pytest.raises(RequestError, match=r"^home must .*--home\.$") as caught:
        create_user_store(tmp_path / "/".join(["x" * 100] * 5) / "user-mlflow", tables)
    assert "\n" not in str(caught.value)
