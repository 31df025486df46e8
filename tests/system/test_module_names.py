"""Every process of a sweep loads each module of assay once, as assay.*."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.helpers.imports import modules
from tests.helpers.listing_trainer import FOLDER
from tests.helpers.waiting import GUARD_SECONDS

SUPERVISOR = """
from assay.experiments.cli import main
from assay.experiments.run import execution
from tests.helpers.listing_trainer import list_modules

execution.PRELOAD = "tests.helpers.listing_trainer:preload"
execution.TRAINER = "tests.helpers.listing_trainer:ListingTrainer"
try:
    main()
finally:
    list_modules("supervisor")
"""


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """Return the loaded modules of assay by name, for every process of a sweep."""
    folder = tmp_path_factory.mktemp("modules")
    limits = ("--trials", "2", "--epochs", "1", "--workers", "1")
    subprocess.run(
        [
            sys.executable,
            "-c",
            SUPERVISOR,
            "sweep",
            "digits-mlp",
            *limits,
            "--home",
            folder / "home",
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), FOLDER: str(folder)},
        capture_output=True,
        check=True,
        timeout=GUARD_SECONDS,
    )
    ours = {file.resolve() for file in modules().values()}
    loaded = {file.stem: json.loads(file.read_text()) for file in folder.glob("*.json")}
    return {
        process: {
            name: Path(file).resolve()
            for name, file in files.items()
            if Path(file).resolve() in ours
        }
        for process, files in loaded.items()
    }


def test_supervisor_fork_server_and_worker_are_listed(
    listed: dict[str, dict[str, Path]],
) -> None:
    assert {name.rpartition("-")[0] for name in listed} == {"supervisor", "fork-server", "worker"}
    assert all(files for files in listed.values())


def test_every_module_is_loaded_once_by_its_installed_name(
    listed: dict[str, dict[str, Path]],
) -> None:
    known = {file.resolve(): name for name, file in modules().items()}
    for process, files in listed.items():
        wrong = {name: str(file) for name, file in files.items() if name != known[file]}
        assert wrong == {}, process
        assert max(Counter(files.values()).values()) == 1, process
