"""Files from somebody else: looking and comparing loads no model, and nothing is ever unpickled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.command import Swept
from tests.helpers.planted import pickled

_LOOK = """
import sys
sys.argv = ["assay", *{words!r}]
from assay.experiments.cli import main
try:
    main()
except SystemExit as left:
    assert not left.code, left.code
print({{"keras", "tensorflow", "jax", "torch", "cloudpickle", "joblib"}} & set(sys.modules), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def planted(swept: Swept, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A home in which every model, and a file beside it, is a pickle that does harm; and what it would make."""
    folder = tmp_path_factory.mktemp("planted")
    home, harm = folder / "home", folder / "harm"
    shutil.copytree(swept.home, home)
    files = [*home.rglob("*.keras"), *home.rglob("MLmodel"), *home.rglob("data.json")]
    assert {file.suffix for file in files} == {".keras", "", ".json"}
    for path in files:
        path.write_bytes(pickled(harm))
        path.with_name("model.pkl").write_bytes(pickled(harm))
    return home, harm


@pytest.mark.parametrize(
    "words",
    [
        ["show", "digits-mlp"],
        ["show", "digits-mlp", "--trial", "0"],
        ["list"],
        ["doctor"],
        ["ui", "--help"],
    ],
    ids=" ".join,
)
def test_looking_and_comparing_load_no_model(words: list[str], planted: tuple[Path, Path]) -> None:
    home, harm = planted
    where = [] if "--help" in words else ["--home", str(home)]
    looked = subprocess.run(
        [sys.executable, "-c", _LOOK.format(words=[*words, *where])],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    loaded = looked.stderr.splitlines()[-1]
    assert not {"keras", "tensorflow", "jax", "torch"} & {
        word.strip("{}' ,") for word in loaded.split()
    }, loaded
    assert not harm.exists()
