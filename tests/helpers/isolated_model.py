"""Loading MLflow models in a process that can import nothing of this project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.helpers.waiting import GUARD_SECONDS

REFUSE_ASSAY = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("assay", "tests"):
            raise ImportError(f"{name} can't be imported here")

sys.meta_path.insert(0, Refuse())
"""
"""The beginning of a program that can import nothing of this project."""

_LOAD = (
    REFUSE_ASSAY
    + """
import json, pathlib
import numpy as np
import mlflow

answers = {}
for name, model in json.loads(sys.argv[1]).items():
    arrays = np.load(model["arrays"], allow_pickle=False)
    served = mlflow.pyfunc.load_model(model["folder"])
    raw = [arrays[f"raw_{i}"] for i in range(len(arrays.files) - 1)]
    frames = [served.predict(one) for one in raw]
    custom = served.unwrap_python_model().custom_objects
    network = mlflow.keras.load_model(model["folder"], custom_objects=custom)
    import keras
    answers[name] = {
        "backend": keras.backend.backend(),
        "columns": list(frames[0].columns),
        "rows": [row for frame in frames for row in frame.to_numpy().tolist()],
        "outputs": np.asarray(network.predict(arrays["scaled"], verbose=0), "float64").tolist(),
        "custom": sorted(custom),
        "example": served.predict(served.input_example).to_numpy().tolist(),
    }
print(json.dumps(answers))
"""
)


def run_isolated(program: str, *arguments: str, cwd: Path, **environment: str) -> str:
    """Run a program that can't import this project; return what it prints."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**kept, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", **environment},
        timeout=GUARD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def load_isolated(models: Mapping[str, tuple[Path, Sequence[Any], Any]], folder: Path) -> Any:
    """Load models, and return what they answer.

    Args:
        models: by name the folder of a model, arrays of raw examples, and the scaled ones.
        folder: an empty folder.
    """
    described = {}
    for name, (model, raw, scaled) in models.items():
        arrays = folder / f"{name}.npz"
        np.savez(arrays, scaled=scaled, **{f"raw_{i}": one for i, one in enumerate(raw)})
        described[name] = {"folder": str(model), "arrays": str(arrays)}
    printed = run_isolated(_LOAD, json.dumps(described), cwd=folder)
    return json.loads(printed.splitlines()[-1])
