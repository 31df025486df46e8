"""`from assay import sweep` and its calls do not change the user's process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from assay.experiments.tracking.store import MLFLOW_VARIABLES
from tests.helpers.command import Swept
from tests.helpers.waiting import GUARD_SECONDS


def without_settings() -> dict[str, str]:
    """Return this process's environment without MLflow's settings, which tests set."""
    own = {name: value for name, value in os.environ.items() if name not in MLFLOW_VARIABLES}
    return {**own, "PYTHONPATH": os.pathsep.join(sys.path)}


SCRIPT = """
import logging, os, sys, warnings
from pathlib import Path

# What libraries change when they are imported is theirs.
import matplotlib.figure, mlflow, optuna, pandas, rich.console, scipy.stats, sqlalchemy, tqdm

def state():
    levels = [logging.getLogger(name).level for name in ("mlflow", "mlflow.store.db.utils")]
    # MLflow names its telemetry session in a variable of its own, whenever it begins one.
    variables = {name: os.environ[name] for name in os.environ if not name.startswith("_MLFLOW")}
    return optuna.logging.get_verbosity(), levels, list(warnings.filters), variables

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
def test_the_process_state_is_unchanged(act: str, swept: Swept, home: Path) -> None:
    place = swept.home if act == "load_study" else home
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, act, str(place)],
        env=without_settings(),
        capture_output=True,
        text=True,
        timeout=GUARD_SECONDS,
    )
    assert done.returncode == 0, done.stderr


REFUSED = """
import os, sys, threading
from pathlib import Path

if sys.argv[2] == "imported":
    # The thread then creates tables, not imports MLflow, when the call is refused.
    import mlflow
else:
    from assay.experiments.tracking import store
    store._create_tables = lambda file: print("tables for a call that was refused")
from assay import run

try:
    run("mnist-mlp", home=Path(sys.argv[1]) / "home", data_dir=sys.argv[1], progress=False)
except Exception as error:
    print(type(error).__name__)
for thread in threading.enumerate():
    if thread.name == "mlflow":
        thread.join()
from assay.experiments.tracking.store import MLFLOW_VARIABLES  # MLflow sets others when imported
assert not os.environ.keys() & MLFLOW_VARIABLES
"""


@pytest.mark.parametrize("mlflow", ["imported", "not imported"])
def test_a_refused_call_prints_nothing(mlflow: str, tmp_path: Path) -> None:
    """The call returns while the tracking thread still imports MLflow or creates tables."""
    proxy = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, str(tmp_path), mlflow],
        env={**without_settings(), **proxy},
        capture_output=True,
        text=True,
        timeout=GUARD_SECONDS,
    )
    assert (done.stdout, done.stderr) == ("RequestError\n", "")
