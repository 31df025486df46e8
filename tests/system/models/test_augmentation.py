"""Augmentation is the same on every backend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from assay.models.backends import Backend, current_backend
from assay.models.backends.keras_fit import KerasFitBackend
from assay.models.data import Scale, TrainingData
from assay.models.training.augmentation import apply_crops, draw_crops
from assay.models.training.config import TrainSettings
from assay.models.training.epoch import EpochInputs, InputConfig
from assay.models.training.fit import batch_order


class Watching(keras.Model):
    """Records its inputs in training and in validation."""

    def __init__(self, images: int, validation_images: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shown = keras.Variable(np.zeros((images, *shape)), trainable=False)
        self.validated = keras.Variable(np.zeros((validation_images, *shape)), trainable=False)
        self.dense = keras.layers.Dense(3)

    def call(self, x: Any, training: bool = False) -> Any:
        seen = self.shown if training else self.validated
        if x.shape[0] in (
            None,
            seen.shape[0],
        ):  # otherwise the model is being built
            seen.assign(keras.ops.reshape(x, seen.shape))
        return self.dense(keras.ops.reshape(x, (-1, 64)))


def shown(backend: Backend, data: TrainingData) -> tuple[np.ndarray, np.ndarray]:
    """Return the inputs of a network in one training batch and in validation."""
    model = Watching(len(data.x_train), len(data.x_validation), data.input_shape)
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False
    )
    model(np.zeros((1, *data.input_shape), np.float32))
    images, train = len(data.x_train), TrainSettings(flip=True, shift=3)
    inputs = EpochInputs(
        images,
        batch_order(1, 0, images),
        np.empty(0, np.float32),
        draw_crops(train, 1, 0, images, data.input_shape),
    )
    backend.load_dataset(data).compile_epoch(model, InputConfig(images, augmented=True, shift=3))(
        inputs
    )
    return np.asarray(model.shown.value), np.asarray(model.validated.value)


@pytest.mark.parametrize("stored", ["uint8", "float32"])
@pytest.mark.parametrize("offset", [0.0, -1.5])
def test_every_backend_augments_alike_and_does_not_augment_validation(
    data: TrainingData, stored: str, offset: float
) -> None:
    scale = Scale(
        np.float32([0.5]), np.float32([offset])
    )  # halves are exact in any order of operations
    whole = replace(
        data,
        scale=scale,
        x_train=data.x_train.astype(stored),
        x_validation=data.x_validation.astype(stored),
    )
    fast, fast_validated = shown(current_backend(), whole)
    plain, plain_validated = shown(KerasFitBackend(), whole)
    crops = draw_crops(TrainSettings(flip=True, shift=3), 1, 0, 150, data.input_shape)
    expected = scale.apply(apply_crops(data.x_train, crops, 3))[batch_order(1, 0, 150)]
    assert np.array_equal(fast, expected)
    assert np.array_equal(plain, expected)
    assert np.array_equal(fast_validated, scale.apply(data.x_validation))
    assert np.array_equal(plain_validated, fast_validated)
