"""Metrics of a model's own that do not suit its targets or outputs.

A metric may accept targets that it was not made for, and then has the same value whatever the model
learns: `CategoricalAccuracy` takes whole numbers for one-hot rows. So a metric is measured on right
and on wrong outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.models import keras_compat
from assay.models.architectures.custom_import import FactoryReference
from assay.models.data import Array, as_one_hot
from assay.models.preflight.outputs import LossInput, OutputKind, classify_loss

if TYPE_CHECKING:
    import keras

_MOST_CLASSES = 5
_LARGE = 8.0  # as a logit: a probability of 0.9997
_EQUAL = 1e-6


def find_unsuitable_metrics(
    model: keras.Model,
    reference: FactoryReference,
    gives: OutputKind | None,
    classes: int,
    one_hot: bool,
) -> Iterator[str]:
    """Yield a warning for each metric that does not measure the classifier.

    Args:
        model: compiled, and trained once: metrics get their variables in training.
        reference: the factory, for messages.
        gives: what the model gives.
        classes: number of classes.
        one_hot: whether the loss is given labels as rows.
    """
    # A metric that takes whole numbers for rows finds class 0 everywhere, or the place of the
    # largest number: so the largest is first, and class 0 is left out.
    first = 0 if classes == 2 else 1
    labels = np.arange(first, min(classes, first + _MOST_CLASSES), dtype=np.int32)[::-1]
    rows = as_one_hot(labels, classes)
    y = rows if one_hot else labels
    right, wrong = (_as_outputs(rank, gives) for rank in (_LARGE * rows, _rank_last(rows)))
    for metric in keras_compat.compiled_metrics(model):
        takes = _measure_input(metric, y, rows)
        if takes is not None and _clash(takes, gives):
            yield (
                f"the metric {metric.name!r} of {reference.text} takes {takes}, and the model "
                f"gives {gives}: use one that takes what the model gives (from_logits)"
            )
        elif _is_uninformative(metric, y, right, wrong):
            kind = "rows of 0 and 1" if one_hot else "whole numbers"
            yield (
                f"the metric {metric.name!r} of {reference.text} is no better for right outputs "
                f"than for wrong ones, given labels that are {kind}: use one for such labels and "
                "outputs"
            )


def find_uninformative_metrics(
    model: keras.Model, reference: FactoryReference, y: Array
) -> Iterator[str]:
    """Yield a warning for each metric that does not measure the regression.

    Args:
        model: compiled, and trained once.
        reference: the factory, for messages.
        y: some targets, float32 (n, outputs).
    """
    wrong = np.roll(y, 1, axis=0)
    if np.abs(wrong - y).max() == 0:
        return
    for metric in keras_compat.compiled_metrics(model):
        if _is_uninformative(metric, y, y, wrong):
            yield (
                f"the metric {metric.name!r} of {reference.text} is no better for right outputs "
                "than for wrong ones: use one for numbers as targets"
            )


def _rank_last(rows: Array) -> Array:
    """Return scores in which the right class is the last one, and no two are equal."""
    scores: Array = _LARGE * (1 - rows) - 0.1 * np.arange(rows.shape[1], dtype=np.float32)
    return scores


def _as_outputs(scores: Array, gives: OutputKind | None) -> Array:
    """Return outputs of the kind that the model gives, in the order of scores."""
    if gives == "probabilities":
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        outputs: Array = powers / powers.sum(axis=1, keepdims=True)
        return outputs.astype(np.float32)
    centred = scores - _LARGE / 2
    return (1 / (1 + np.exp(-centred))).astype(np.float32) if gives == "fractions" else centred


def _is_uninformative(metric: Any, y: Array, right: Array, wrong: Array) -> bool:
    """Return whether a metric with a direction does not tell right outputs from wrong ones."""
    at_right, at_wrong = _measure(metric, y, right), _measure(metric, y, wrong)
    if at_right is None or at_wrong is None:
        return False
    match keras_compat.metric_direction(metric):
        case "maximize":
            return at_right <= at_wrong + _EQUAL
        case "minimize":
            return at_right >= at_wrong - _EQUAL
        case _:
            return False  # it may measure anything, such as the size of outputs


def _measure_input(metric: Any, y: Array, rows: Array) -> LossInput | None:
    """Return what a metric takes that is lower the better; None if it can't be measured."""
    if keras_compat.metric_direction(metric) != "minimize":
        return None

    def measure(y_pred: Array) -> float:
        value = _measure(metric, y, y_pred.astype(np.float32))
        return np.inf if value is None else value

    return classify_loss(measure, rows).takes


def _clash(takes: LossInput, gives: OutputKind | None) -> bool:
    if takes == "probabilities":
        return gives == "scores"
    return takes == "scores" and gives in ("probabilities", "fractions")


def _measure(metric: Any, y: Array, y_pred: Array) -> float | None:
    """Return a metric's value; None if it can't be had."""
    import keras  # not at the top: settings are checked without a backend

    try:
        metric.reset_state()
        metric.update_state(keras.ops.convert_to_tensor(y), keras.ops.convert_to_tensor(y_pred))
        value = float(keras.ops.convert_to_numpy(metric.result()))
        return value if np.isfinite(value) else None
    except Exception:
        return None  # a metric of the user's own may need anything else
    finally:
        metric.reset_state()
