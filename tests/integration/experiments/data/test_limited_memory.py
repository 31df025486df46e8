"""Preparing data in a process whose address space is limited."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.limits import run_limited
from tests.unit.experiments.data.test_capacity import claim

PREPARE = """
import sys
from pathlib import Path
from assay.experiments.data import DataSettings
from assay.experiments.data.build import ensure_prepared
from assay.models.errors import RequestError

folder = Path(sys.argv[1])
try:
    ensure_prepared(DataSettings(name="npz:own.npz"), folder / "home", folder, folder)
except RequestError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (750_000_000, "which takes 6.0 GB; "),  # it would fit into the memory of most machines
        # What fits is read: the claim is found to be wrong at the end of the file.
        (1_000_000, "own.npz is not an .npz file, or is damaged: "),
    ],
)
def test_the_limit_of_the_process_decides(rows: int, words: str, tmp_path: Path) -> None:
    claim((rows, 1))(tmp_path / "own.npz")
    done = run_limited(PREPARE, str(tmp_path), megabytes=3_000)
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    assert words in line
