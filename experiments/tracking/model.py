"""MLflow models: a network, and what serves it.

They are written from the file that the worker saved, without Keras. MLflow's own `save_model` would
import Keras, which takes twelve seconds of every sweep; what it would add is known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from assay.experiments.data.arrays import Array
from assay.experiments.data.raw_inputs import RawInputs
from assay.experiments.serving import model_folder
from assay.experiments.serving.model_folder import CODE_FOLDER, EXAMPLE_INFO, write_model_files
from assay.experiments.serving.requirements import list_requirements
from assay.experiments.serving.settings import (
    LABEL_COLUMN,
    ServedSettings,
    read_served_settings,
)
from assay.experiments.tracking.code import name_files, write_code_files
from assay.experiments.tracking.schema import MODEL_FOLDER
from assay.models.code_files import CodeFile
from assay.models.files import temporary_folder
from assay.search.events import StudyOpened

MODEL_FILES = tuple(f"{MODEL_FOLDER}/{name}" for name in model_folder.MODEL_FILES)
"""What `log_model` writes for every model, by its path among the artifacts of a run."""


def list_model_files(code: Sequence[CodeFile]) -> list[str]:
    """Return what `log_model` writes, by its path among the artifacts of a run.

    Args:
        code: files of the user's own code.
    """
    return [*MODEL_FILES, *(f"{MODEL_FOLDER}/{CODE_FOLDER}/{name}" for name in name_files(code))]


def log_model(client: MlflowClient, run_id: str, file: Path, opened: StudyOpened) -> None:
    """Log a `.keras` file to a run as an MLflow model that takes raw inputs.

    Args:
        client: of the store.
        run_id: the run.
        file: the saved model.
        opened: its study.

    Raises:
        ValueError: the journal contradicts itself.

    Example:
        >>> mlflow.pyfunc.load_model(f"runs:/{run_id}/model").predict(raw_images)
        >>> mlflow.keras.load_model(f"runs:/{run_id}/model")  # the network itself
    """
    code = name_files(opened.code)
    settings = read_served_settings(opened, file, code)
    example = _read_example(opened)
    required_code = opened.code if settings.code is not None else ()
    requirements = list_requirements(
        settings.backend, opened.packages, required_code, needs_pillow=settings.size is not None
    )
    metadata = {name: value for name, value in opened.data.items() if name != "raw"}
    model = Model(
        run_id=run_id,
        signature=_model_signature(settings),
        saved_input_example_info=None if example is None else dict(EXAMPLE_INFO),
        metadata={**metadata, "inputs": settings.inputs},
    )
    with temporary_folder("model") as folder:
        local = folder / MODEL_FOLDER
        local.mkdir()
        write_code_files(opened.code, local / CODE_FOLDER)
        flavors = write_model_files(local, file, settings, requirements, example)
        for name, flavor in flavors.items():
            model.add_flavor(name, **flavor)
        model.model_size_bytes = sum(path.stat().st_size for path in local.rglob("*"))
        model.save(str(local / "MLmodel"))
        client.log_artifacts(run_id, str(local), MODEL_FOLDER)


def describe_data(opened: StudyOpened) -> dict[str, Any]:
    """Return what is recorded of a study's data, without the example, which is no text."""
    raw = opened.data.get("raw")
    described = {"raw": {**raw, "example": None}} if isinstance(raw, Mapping) else {}
    return {**opened.data, **described}


def _read_example(opened: StudyOpened) -> Array | None:
    """Return a raw training example, (1, ...); None if the journal has none."""
    raw: Any = opened.data.get("raw")
    if raw is None:
        return None
    example = RawInputs.model_validate(raw).read_example()
    return None if example is None else example[np.newaxis]


def _model_signature(settings: ServedSettings) -> ModelSignature:
    """Return the signature: raw examples to a label and probabilities, or to values."""
    label = [] if settings.labels is None else [ColSpec(DataType.string, LABEL_COLUMN)]
    numbers = [ColSpec(DataType.double, name) for name in settings.columns]
    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(settings.dtype), settings.batch_shape)]),
        outputs=Schema([*label, *numbers]),
    )
