"""What `from assay import sweep` and its calls change of the user's own process: nothing."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from assay.experiments.tracking import store
from assay.experiments.tracking.store import MLFLOW_VARIABLES, mlflow_settings, prepared_tables
from tests.helpers.command import Swept
from tests.helpers.waiting import GUARD_SECONDS

SCRIPT = """
import logging, os, sys, warnings
from pathlib import Path

# What libraries change when they are imported is theirs.
import matplotlib.figure, mlflow, optuna, pandas, rich.console, sqlalchemy, tqdm

def state():
    levels = [logging.getLogger(name).level for name in ("mlflow", "mlflow.store.db.utils")]
    return optuna.logging.get_verbosity(), levels, list(warnings.filters), dict(os.environ)

def changed():
    names = ("Optuna's verbosity", "MLflow's log levels", "warnings.filters", "os.environ")
    return [name for name, one, other in zip(names, before, state(), strict=True) if one != other]

act, home = sys.argv[1], Path(sys.argv[2])
before = state()
from assay import load_study, run, sweep
if act == "load_study":
    load_study("digits-mlp", home=home)
elif act == "sweep":
    from assay.experiments.run import execution
    execution.PRELOAD = "tests.helpers.stub_trainer:preload"
    execution.TRAINER = "tests.helpers.stub_trainer:QuickTrainer"
    sweep("digits-mlp", trials=2, epochs=1, workers=1, home=home, progress=False)
found = changed()
assert not found, found
"""


@pytest.mark.parametrize("act", ["import", "load_study", "sweep"])
def test_a_users_process_stays_as_it_was(act: str, swept: Swept, home: Path) -> None:
    place = swept.home if act == "load_study" else home
    environment = {
        name: value for name, value in os.environ.items() if name not in MLFLOW_VARIABLES
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, act, str(place)],
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=GUARD_SECONDS,
    )
    assert done.returncode == 0, done.stderr


def test_a_tracking_thread_that_outlives_its_call_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sweep that is refused returns while the thread still imports MLflow."""
    import mlflow  # noqa: F401 - sets its log levels when it is imported

    logger = logging.getLogger("mlflow")
    monkeypatch.setattr(store, "_was_entered", False)
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        with mlflow_settings(), prepared_tables("http://127.0.0.1:1"):
            assert logger.level == logging.WARNING
        assert logger.level == logging.INFO
        with prepared_tables("http://127.0.0.1:1"):
            assert logger.level == logging.INFO
    finally:
        logger.setLevel(before)
