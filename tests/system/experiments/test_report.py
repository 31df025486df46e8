"""A report that is drawn again without the stores."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from assay.experiments.report.write import make_report
from assay.experiments.workspace import StorePaths
from tests.helpers.finalized_studies import Configuration, FinalizedStudy, record
from tests.helpers.waiting import GUARD_SECONDS

WITHOUT_STORES = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("mlflow", "optuna", "keras", "tensorflow", "sklearn"):
            raise ImportError(f"{name} must not be needed")

sys.meta_path.insert(0, Refusing())
from assay.experiments.cli import main
main()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of the report about a finalized study."""
    store_paths = StorePaths.choose(home=tmp_path / "home")
    store_paths.workspace.create()
    wide = Configuration(7, {"hidden_units": 64}, 0.95, 0.96, draw=2)
    narrow = Configuration(0, {"hidden_units": 8}, 0.80, 0.86, baseline=True, draw=1)
    record(FinalizedStudy("x", [narrow, wide]), store_paths)
    return make_report(["x"], store_paths).folder


def test_a_report_is_drawn_again_without_its_stores(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    words = ["report", "--from", str(folder), "--out", str(out), "--json"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", WITHOUT_STORES, *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=GUARD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["studies"] == ["x"]
    names = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert {path.relative_to(out) for path in out.rglob("*") if path.is_file()} == names
    for name in names:
        assert (out / name).read_bytes() == (folder / name).read_bytes(), name
