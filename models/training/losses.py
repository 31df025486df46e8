"""Losses by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.models.tasks import Task
from assay.models.training.config import TrainSettings
from assay.models.training.metrics import task_metrics

if TYPE_CHECKING:
    import keras


def wants_one_hot(train: TrainSettings, task: Task) -> bool:
    """Return whether labels are passed as rows (n, classes).

    Plain cross entropy takes labels (n,), which is faster, unless a metric needs rows. Targets of a
    regression are rows anyway.
    """
    return task == "classification" and (
        train.loss != "cross_entropy"
        or bool(train.label_smoothing)
        or any(metric.needs_one_hot for metric in task_metrics(task))
    )


def create_loss(train: TrainSettings, task: Task) -> keras.losses.Loss:
    """Create the Keras loss of outputs (batch, outputs).

    In classification the outputs are logits f, and t is 1 for the class of the image and 0 for the
    others:

    - cross_entropy: -log softmax(f) of the class, computed from the logits, because a separate
      softmax loses digits.
    - binary_cross_entropy: each class against the rest, -t log s(f) - (1 - t) log(1 - s(f)) with
      the logistic function s, computed from the logits; the mean over the classes.
    - hinge: each class against the rest, max(0, 1 - y f) with y = 2t - 1, which is -1 or +1; the
      mean over the classes.
    - squared_error, absolute_error: (t - f)^2, |t - f|; the mean over the classes, in regression
      over the outputs.

    With `label_smoothing` a, the cross entropies replace t: cross_entropy by (1 - a) t +
    a / classes (Szegedy et al. 2016, section 7), binary_cross_entropy by (1 - a) t + a / 2. None
    means 0.
    """
    import keras  # not at the top: settings are checked without a backend

    # All are Keras' own classes, so a saved model loads without Assay's code.
    smoothing = train.label_smoothing or 0.0
    match train.loss:
        case "cross_entropy" if wants_one_hot(train, task):
            return keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=smoothing, name=train.loss
            )
        case "cross_entropy":
            return keras.losses.SparseCategoricalCrossentropy(from_logits=True, name=train.loss)
        case "binary_cross_entropy":
            return keras.losses.BinaryCrossentropy(
                from_logits=True, label_smoothing=smoothing, name=train.loss
            )
        case "hinge":
            # Keras converts targets 0 and 1 to -1 and +1.
            return keras.losses.Hinge(name=train.loss)
        case "squared_error":
            return keras.losses.MeanSquaredError(name=train.loss)
        case _:
            return keras.losses.MeanAbsoluteError(name=train.loss)
