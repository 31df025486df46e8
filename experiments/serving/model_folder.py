"""Writes what MLflow's models-from-code keeps beside a network; imports no Keras.

```
MLmodel                       written by the caller, with the returned flavors
served_model.py               the code that serves the network
serving.json                  its settings
data/model.keras              the network
data/keras_module.txt
code/                         the user's own code
input_example.json  serving_input_example.json
requirements.txt  python_env.yaml  conda.yaml
```
"""

from __future__ import annotations

import dataclasses
import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.experiments.data.arrays import Array
from assay.experiments.serving.requirements import (
    REQUIREMENTS_FILE,
    describe_conda_env,
    describe_python_env,
)
from assay.experiments.serving.settings import ServedSettings

SETTINGS_FILE = "serving.json"
NETWORK_FILE = "data/model.keras"
EXAMPLE_FILE = "input_example.json"
CODE_FOLDER = "code"

_SERVED_MODEL_FILE = "served_model.py"
_KERAS_MODULE_FILE = "data/keras_module.txt"
_CONDA_FILE, _PYTHON_FILE = "conda.yaml", "python_env.yaml"
SERVING_EXAMPLE_FILE = "serving_input_example.json"

MODEL_FILES = (
    "MLmodel",
    _SERVED_MODEL_FILE,
    SETTINGS_FILE,
    NETWORK_FILE,
    _KERAS_MODULE_FILE,
    EXAMPLE_FILE,
    SERVING_EXAMPLE_FILE,
    REQUIREMENTS_FILE,
    _PYTHON_FILE,
    _CONDA_FILE,
)
"""Every file but the user's own code, by its path in the folder."""

EXAMPLE_INFO = {
    "artifact_path": EXAMPLE_FILE,
    "serving_input_path": SERVING_EXAMPLE_FILE,
    "type": "ndarray",
}
"""What MLmodel says of the example, as `mlflow.models.utils._Example` writes it (3.17)."""


def write_model_files(
    folder: Path,
    network: Path,
    settings: ServedSettings,
    requirements: Sequence[str],
    example: Array | None,
) -> Mapping[str, Mapping[str, Any]]:
    """Write the files of a model, but MLmodel and the user's own code.

    Args:
        folder: an existing folder; the user's code is in its folder `code`, if there is any.
        network: the `.keras` file.
        settings: of the model.
        requirements: of the model; see `requirements.list_requirements`.
        example: raw examples as the model takes them; None for none.

    Returns:
        The settings of the flavors in MLmodel, by name.
    """
    (folder / "data").mkdir()
    shutil.copyfile(network, folder / NETWORK_FILE)
    shutil.copyfile(Path(__file__).with_name(_SERVED_MODEL_FILE), folder / _SERVED_MODEL_FILE)
    if example is not None:
        for name, content in (
            (EXAMPLE_FILE, example.tolist()),
            (SERVING_EXAMPLE_FILE, {"inputs": example.tolist()}),
        ):
            (folder / name).write_text(json.dumps(content), encoding="utf-8")
    keras_version = next(one for one in requirements if one.startswith("keras")).partition("==")[2]
    texts = {
        _KERAS_MODULE_FILE: "keras",
        SETTINGS_FILE: _to_json(dataclasses.asdict(settings)),
        REQUIREMENTS_FILE: "".join(f"{one}\n" for one in requirements),
        # JSON is YAML.
        _PYTHON_FILE: _to_json(describe_python_env()),
        _CONDA_FILE: _to_json(describe_conda_env(requirements)),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    artifacts = {"network": NETWORK_FILE, "settings": SETTINGS_FILE}
    if (folder / CODE_FOLDER).is_dir():
        artifacts["code"] = CODE_FOLDER
    return {
        # What `mlflow.keras.save_model` writes (3.17).
        "keras": {
            "data": "data",
            "keras_version": keras_version,
            "keras_backend": settings.backend,
            "save_exported_model": False,
        },
        # What `mlflow.pyfunc.save_model` writes for models-from-code (3.17). Its key `code` is
        # left out: MLflow would put the user's files before all libraries on the path.
        "python_function": {
            "loader_module": "mlflow.pyfunc.model",
            "python_version": platform.python_version(),
            "model_code_path": _SERVED_MODEL_FILE,
            "env": {"conda": _CONDA_FILE, "virtualenv": _PYTHON_FILE},
            "artifacts": {name: {"path": path, "uri": path} for name, path in artifacts.items()},
            "streamable": False,
        },
    }


def _to_json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, allow_nan=False) + "\n"
