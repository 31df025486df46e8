"""Untrusted files: `show` and `doctor` load no model, and nothing is unpickled."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.experiments.workspace import StorePaths
from tests.helpers.command import invoke
from tests.helpers.planted import pickled


@pytest.fixture
def harm(store_paths: StorePaths, tmp_path: Path) -> Path:
    """Return the file that an unpickled model, or file beside it, would create."""
    home, harm = store_paths.workspace.path, tmp_path / "harm"
    files = [*home.rglob("*.keras"), *home.rglob("MLmodel"), *home.rglob("data.json")]
    assert {file.suffix for file in files} == {".keras", "", ".json"}
    for path in files:
        path.write_bytes(pickled(harm))
        path.with_name("model.pkl").write_bytes(pickled(harm))
    return harm


@pytest.mark.parametrize(
    "words",
    [["show", "digits-mlp"], ["show", "digits-mlp", "--trial", "0"], ["list"], ["doctor"]],
    ids=" ".join,
)
def test_show_list_and_doctor_load_no_model(
    words: list[str], store_paths: StorePaths, harm: Path
) -> None:
    """The fixture of this folder checks that no backend, which could read a model, is loaded."""
    assert invoke(*words, "--home", str(store_paths.workspace.path)).code == 0
    assert not harm.exists()
