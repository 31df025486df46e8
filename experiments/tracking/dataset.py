"""Data sets as MLflow's own dataset inputs of a run.

They are made from what a journal holds of the data, without reading them and without pandas.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.types import Schema, TensorSpec

from assay.experiments.tracking.schema import encode_text

TRAINING, VALIDATION, TEST = "training", "validation", "test"
"""Contexts of a dataset input: the splits of the data."""

_CONTEXT_TAG = "mlflow.data.context"
_EXAMPLES = {
    TRAINING: "train_examples",
    VALIDATION: "validation_examples",
    TEST: "test_examples",
}
_MAX_NAME_CHARACTERS = 450  # MLflow's limit is 500
_DIGEST_CHARACTERS = 8  # of each half, as MLflow's own digests have; its limit is 36
_IMAGE_DIMENSIONS = 3


def dataset_input(data: Mapping[str, Any], context: str) -> DatasetInput:
    """Return one split of a data set as MLflow's input of a run.

    MLflow tells data sets by name and digest, keeps what was logged first for both, and gives each
    one context in a run. So the name has the split, and the digest begins with that of the whole
    data set and ends with one of what is logged here.

    Args:
        data: as `StudyOpened.data` has it.
        context: the split.
    """
    name = encode_text(str(data.get("name", "")))[:_MAX_NAME_CHARACTERS]
    examples = data.get(_EXAMPLES[context])
    schema, profile = _schema(data), {} if examples is None else {"num_rows": examples}
    logged = hashlib.sha256(json.dumps([schema, profile]).encode()).hexdigest()
    digest = encode_text(str(data.get("digest", "")))[:_DIGEST_CHARACTERS]
    return DatasetInput(
        Dataset(
            name=f"{name}/{context}",
            digest=f"{digest}.{logged[:_DIGEST_CHARACTERS]}",
            source_type="assay",
            # The name alone: a path would name the machine's user.
            source=json.dumps({"name": name, "split": context}),
            schema=json.dumps(schema),
            profile=json.dumps(profile),
        ),
        [InputTag(_CONTEXT_TAG, context)],
    )


def _schema(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the shapes and types in which a network gets the data."""
    shape, outputs = data.get("input_shape"), data.get("outputs")
    # A journal may come from elsewhere: what is no shape is shown as none.
    if not isinstance(shape, list | tuple) or not all(type(size) is int for size in shape):
        shape = ()
    is_regression = data.get("task") == "regression"
    noun = "image" if len(shape) == _IMAGE_DIMENSIONS else "x"
    features = Schema([TensorSpec(np.dtype(np.float32), (-1, *shape), noun)])
    target = (
        TensorSpec(np.dtype(np.float32), (-1, outputs if type(outputs) is int else -1), "value")
        if is_regression
        else TensorSpec(np.dtype(np.int64), (-1,), "label")
    )
    # What `mlflow.data.schema.TensorDatasetSchema` gives (MLflow 3.17).
    return {
        "mlflow_tensorspec": {
            "features": features.to_json(),
            "targets": Schema([target]).to_json(),
        }
    }
