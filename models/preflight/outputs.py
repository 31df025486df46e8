"""Outputs of a model against what its loss takes.

Cross entropy that takes probabilities for logits can't fall below a bound: with 10 classes 1.46. A
search over such trainings names a best trial all the same.

What a loss takes is measured, not read from its name: by its values for some outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from assay.models.data import Array, as_one_hot

if TYPE_CHECKING:
    import keras

LossInput = Literal["scores", "probabilities", "values"]
"""What a loss takes: scores of any size, such as logits; probabilities; or values to compare with
the targets.
"""

OutputKind = Literal["scores", "probabilities", "fractions"]
"""What a model gives: scores; rows of probabilities that sum to 1, as from a softmax; or fractions
of 1, as from a sigmoid.
"""

_MOST_ROWS = 4
_SCORES = (2.0, 3.0, 5.0, 10.0)
_LESS = 0.02  # of a loss of about 1
_AMPLIFIED = (8.0, 512.0, 32768.0)
_TOLERANCE = 0.01  # numbers of 16 bits have two to three digits

MeasureLoss = Callable[[Array], float]


def find_loss_input(model: keras.Model, x: Array, outputs: int, one_hot: bool) -> LossInput | None:
    """Return what the loss of a compiled classifier takes.

    A loss takes scores if it falls when scores of the right class grow beyond 1 and those of the
    others below 0. It takes probabilities if it neither does that nor changes when all are scaled
    by a factor, or clipped.

    Args:
        model: compiled and built.
        x: some inputs.
        outputs: number of classes.
        one_hot: whether it is given labels as rows.

    Returns:
        None if the loss can't be measured.
    """
    rows = min(_MOST_ROWS, outputs, len(x))
    labels = np.arange(rows, dtype=np.int32)
    target = as_one_hot(labels, outputs)
    y = target if one_hot else labels
    try:
        return _classify_loss(_make_measure(model, x[:rows], y), target)
    except Exception:
        return None


def _make_measure(model: keras.Model, x: Array, y: Array) -> MeasureLoss:
    import keras  # not at the top: settings are checked without a backend

    def measure(y_pred: Array) -> float:
        predicted = keras.ops.convert_to_tensor(y_pred.astype(np.float32))
        loss = model.compute_loss(
            x=keras.ops.convert_to_tensor(x), y=keras.ops.convert_to_tensor(y), y_pred=predicted
        )
        value = float(np.mean(keras.ops.convert_to_numpy(loss)))
        return value if np.isfinite(value) else np.inf

    return measure


def _classify_loss(measure: MeasureLoss, target: Array) -> LossInput:
    others = 1 - target
    at_target = measure(target)
    if min(measure(scale * (2 * target - 1)) for scale in _SCORES) < at_target - _LESS:
        return "scores"
    right, slightly_negative = measure(3 * target), 3 * target - others * 0.5 / target.shape[1]
    if (
        abs(right - measure(30 * target)) < 1e-4
        and abs(right - measure(slightly_negative)) < 1e-5
        and measure(3 * others) > right + 0.1
    ):
        return "probabilities"
    return "values"


def find_output_kind(model: keras.Model, x: Array) -> OutputKind | None:
    """Return what kind of outputs a classifier gives on some inputs; None if it can't be told."""
    y = compute_outputs(model, x)
    if not np.isfinite(y).all():
        return None
    if not is_within_unit(y):
        return "scores"
    if np.abs(y.sum(axis=1) - 1).max() < _TOLERANCE:
        return "probabilities"
    # Scores of an untrained model may happen to lie between 0 and 1. With larger weights they
    # leave that range.
    for factor in _AMPLIFIED:
        with scaled_weights(model, factor):
            amplified = compute_outputs(model, x)
        if np.isfinite(amplified).all() and not is_within_unit(amplified):
            return "scores"
    return "fractions" if y.max() > 0 else "scores"


def is_within_unit(y: Array) -> bool:
    """Return whether all numbers lie between 0 and 1."""
    return bool(y.min() >= -_TOLERANCE and y.max() <= 1 + _TOLERANCE)


def compute_outputs(model: keras.Model, x: Array) -> Array:
    """Return a model's outputs as float64 (n, outputs), without training."""
    import keras  # not at the top: settings are checked without a backend

    outputs = keras.ops.convert_to_numpy(
        keras.ops.cast(model(keras.ops.convert_to_tensor(x), training=False), "float32")
    )
    return np.asarray(outputs, np.float64)


@contextmanager
def scaled_weights(model: keras.Model, factor: float, noise: float = 0.0) -> Iterator[None]:
    """Multiply the trainable weights of a model in this context.

    Args:
        model: the model.
        factor: the factor.
        noise: standard deviation of random numbers that are added afterwards.
    """
    import keras  # not at the top: settings are checked without a backend

    random = np.random.default_rng(0)
    kept = [np.array(keras.ops.convert_to_numpy(v.value)) for v in model.trainable_variables]
    try:
        for variable, value in zip(model.trainable_variables, kept, strict=True):
            changed: Any = value * factor
            if noise:
                changed = changed + noise * random.standard_normal(value.shape)
            variable.assign(changed)
        yield
    finally:
        for variable, value in zip(model.trainable_variables, kept, strict=True):
            variable.assign(value)
