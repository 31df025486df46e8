"""Commands and functions in processes that lack what most processes have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.command import ASSAY, Done
from tests.helpers.waiting import GUARD_SECONDS


def in_shell(before: str, command: list[str], folder: Path, **environment: str) -> Done:
    """Run a command in a shell after other shell code."""
    done = subprocess.run(
        ["bash", "-c", f'{before}\n"$@"', "bash", *command],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        timeout=GUARD_SECONDS,
    )
    return Done(done.returncode, done.stdout, done.stderr)


GONE = "mkdir gone; cd gone; rmdir ../gone"

PYTHON = """
import sys
from assay import RequestError, load_study, sweep
try:
    {}
except RequestError as error:
    sys.exit(print("assay:", error, file=sys.stderr) or 2)
"""


@pytest.mark.parametrize(
    "command",
    [
        [*ASSAY, "sweep", "digits-mlp"],
        [*ASSAY, "run", "digits-mlp"],
        [*ASSAY, "show", "digits-mlp"],
        [*ASSAY, "new", "mine"],
        [*ASSAY, "doctor"],
        [sys.executable, "-c", PYTHON.format("sweep('digits-mlp')")],
        [sys.executable, "-c", PYTHON.format("load_study('digits-mlp')")],
    ],
    ids=lambda command: " ".join(command[-2:])[-40:],
)
def test_a_removed_current_folder_is_one_line(command: list[str], tmp_path: Path) -> None:
    done = in_shell(GONE, command, tmp_path, ASSAY_HOME=str(tmp_path / "home"))
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("assay: the current folder must exist")
    assert not list(tmp_path.iterdir())


def test_what_needs_no_folder_works_in_a_removed_one(tmp_path: Path) -> None:
    done = in_shell(GONE, [*ASSAY, "list", "experiments"], tmp_path)
    assert done.code == 0, done.err


SWEEP = "sweep('digits-mlp', trials=1, epochs=1, workers=1)"


@pytest.mark.parametrize(
    "command",
    [
        [*ASSAY, "sweep", "digits-mlp", "--trials", "1", "--epochs", "1", "--workers", "1"],
        [sys.executable, "-c", PYTHON.format(SWEEP)],
    ],
    ids=["command", "python"],
)
def test_a_sweep_needs_no_standard_streams(command: list[str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = in_shell("exec 0<&- 1>&- 2>&-", command, tmp_path, ASSAY_HOME=str(home))
    assert done.code == 0
    (journal,) = home.glob("journal/*.jsonl")
    assert [json.loads(line)["event"] for line in journal.read_text().splitlines()] == [
        "study_opened",
        "trial_begun",
        "epoch_ended",
        "trial_ended",
        "study_closed",
    ]


def test_a_sweep_from_a_program_without_a_console(tmp_path: Path) -> None:
    script = f"import sys\nsys.stdout = sys.stderr = None\n{PYTHON.format(SWEEP)}"
    done = in_shell("", [sys.executable, "-c", script], tmp_path, ASSAY_HOME=str(tmp_path / "home"))
    assert (done.code, done.out, done.err) == (0, "", "")
