"""The model of a study's best trial, as an MLflow model: one `.keras` file and the signature of its
input.

Written from the file that the worker saved, without Keras: what MLflow's own Keras flavour would
add to the file is known here, and importing Keras to write it would cost every sweep twelve
seconds.
"""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

FOLDER = "model"


def log_model(
    client: MlflowClient, run_id: str, file: Path, data: Mapping[str, Any], backend: str
) -> None:
    """Log a `.keras` file to a run, so that `mlflow.keras.load_model("runs:/RUN_ID/model")` loads
    it.

    Args:
        client: the store.
        run_id: whose artifact it becomes.
        file: the saved model.
        data: `input_shape`, such as [28, 28, 1], `outputs`, how many numbers it gives, and what
            else is to be known of
            them: the names of the classes, the scaling that inputs went through.
        backend: the Keras backend it was trained on.
    """
    keras = importlib.metadata.version("keras")
    model = Model(run_id=run_id, signature=_signature(data), metadata=dict(data))
    model.add_flavor(
        "keras", data="data", keras_version=keras, keras_backend=backend, save_exported_model=False
    )
    # The generic flavour too, so that `mlflow models serve` and `mlflow.pyfunc` take it.
    model.add_flavor(
        "python_function",
        loader_module="mlflow.keras",
        python_version=platform.python_version(),
        env={},
    )
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / FOLDER
        (local / "data").mkdir(parents=True)
        shutil.copyfile(file, local / "data" / "model.keras")
        (local / "data" / "keras_module.txt").write_text("keras")
        (local / "requirements.txt").write_text(f"keras=={keras}\n")
        model.save(str(local / "MLmodel"))
        client.log_artifacts(run_id, str(local), FOLDER)


def _signature(data: Mapping[str, Any]) -> ModelSignature:
    """Batches of scaled inputs (batch, *input_shape) to logits or values (batch, outputs), all
    float32.
    """
    number = np.dtype(np.float32)
    return ModelSignature(
        inputs=Schema([TensorSpec(number, (-1, *data["input_shape"]))]),
        outputs=Schema([TensorSpec(number, (-1, data["outputs"]))]),
    )
