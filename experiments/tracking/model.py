"""MLflow models: a `.keras` file and its signature.

It is written from the file that the worker saved, without Keras. MLflow's Keras flavor would import
Keras, which takes twelve seconds of every sweep; what the flavor would add is known here.
"""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from assay.experiments.tracking.schema import MODEL_FOLDER
from assay.models.files import temporary_folder

MODEL_FILES = tuple(
    f"{MODEL_FOLDER}/{name}"
    for name in ("MLmodel", "requirements.txt", "data/model.keras", "data/keras_module.txt")
)
"""What `log_model` writes, by its path among the artifacts of a run."""


def log_model(
    client: MlflowClient, run_id: str, file: Path, data: Mapping[str, Any], backend: str
) -> None:
    """Log a `.keras` file to a run as an MLflow model.

    Args:
        client: of the store.
        run_id: the run.
        file: the saved model.
        data: stored as metadata. `input_shape`, such as [28, 28, 1], and `outputs`, the number of
            outputs, become the signature.
        backend: the Keras backend on which the model was trained.

    Example:
        >>> mlflow.keras.load_model(f"runs:/{run_id}/model")
    """
    keras = importlib.metadata.version("keras")
    signature = _model_signature(data, backend)
    model = Model(run_id=run_id, signature=signature, metadata=dict(data))
    model.add_flavor(
        "keras", data="data", keras_version=keras, keras_backend=backend, save_exported_model=False
    )
    # The generic flavor is what `mlflow models serve` and `mlflow.pyfunc` load.
    model.add_flavor(
        "python_function",
        loader_module="mlflow.keras",
        python_version=platform.python_version(),
        env={},
    )
    with temporary_folder("model") as folder:
        # The files that MLflow's Keras flavor writes (`mlflow.keras.save_model`, 3.17).
        local = folder / MODEL_FOLDER
        (local / "data").mkdir(parents=True)
        shutil.copyfile(file, local / "data" / "model.keras")
        (local / "data" / "keras_module.txt").write_text("keras")
        (local / "requirements.txt").write_text(f"keras=={keras}\n")
        model.save(str(local / "MLmodel"))
        client.log_artifacts(run_id, str(local), MODEL_FOLDER)


def _model_signature(data: Mapping[str, Any], backend: str) -> ModelSignature:
    """Return the signature: float32, (batch, *input_shape) to (batch, outputs)."""
    number = np.dtype(np.float32)
    # With an offset of the targets, outputs are float64 where the backend has that.
    has_wide_outputs = data.get("target_offset") is not None and backend != "jax"
    output = np.dtype(np.float64) if has_wide_outputs else number
    return ModelSignature(
        inputs=Schema([TensorSpec(number, (-1, *data["input_shape"]))]),
        outputs=Schema([TensorSpec(output, (-1, data["outputs"]))]),
    )
