"""Losses and metrics by name: what training brings down, and what its reader looks at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from assay.models.errors import RequestError
from assay.models.names import check_name
from assay.models.tasks import Task

if TYPE_CHECKING:
    import keras

    from assay.models.training.config import TrainSettings

LOSSES: Mapping[str, tuple[Task, ...]] = {
    "cross_entropy": ("classification",),
    "binary_cross_entropy": ("classification",),
    "hinge": ("classification",),
    "squared_error": ("classification", "regression"),
    "absolute_error": ("classification", "regression"),
}
"""Every loss, and the tasks that have it."""

SMOOTHED = ("cross_entropy", "binary_cross_entropy")


def check_loss(name: str) -> str:
    """Return `name` if it is a loss.

    Raises:
        RequestError: it is not.
    """
    return check_name("loss", name, LOSSES)


def check_task(train: TrainSettings, task: Task) -> None:
    """See that the task has the loss.

    Raises:
        RequestError: it has not; the message names those it has.
    """
    if task not in LOSSES[train.loss]:
        known = ", ".join(name for name, tasks in LOSSES.items() if task in tasks)
        raise RequestError(
            f"[train] loss: must be one that {task} has: received {train.loss!r}; take one of {known}."
        )


def check_smoothing(train: TrainSettings) -> None:
    """See that the loss reads `label_smoothing`, if that is given.

    Raises:
        RequestError: it does not.
    """
    if train.label_smoothing is not None and train.loss not in SMOOTHED:
        raise RequestError(
            f"label_smoothing is a setting of the losses {' and '.join(SMOOTHED)} alone: received label_smoothing = "
            f"{train.label_smoothing} with loss = {train.loss!r}; remove one or change the other."
        )


def wants_one_hot(train: TrainSettings, task: Task) -> bool:
    """Return whether the loss compares each output with a target of its own: labels must then come
    one-hot.

    Plain cross entropy reads labels as they are, which is faster. Regression's targets are what
    they are.
    """
    return task == "classification" and (
        train.loss != "cross_entropy" or bool(train.label_smoothing)
    )


def loss(train: TrainSettings, task: Task) -> keras.losses.Loss:
    """Return a new Keras loss of targets and what the network gives, (batch, outputs); its mean
    over a batch.

    In classification the network gives logits f, and t is 1 for the image's class and 0 for the
    others:

    - cross_entropy: -log softmax(f) of the class. From the logits: a softmax of its own before the
      logarithm loses digits.
    - binary_cross_entropy: every class one against the rest, -t log s(f) - (1 - t) log(1 - s(f))
      with the logistic s, from the logits; the mean over the classes.
    - hinge: every class one against the rest, max(0, 1 - y f) with y = 2t - 1, that is -1 or +1;
      the mean over the classes.
    - squared_error, absolute_error: (t - f)^2, |t - f|; the mean over the classes, in regression
      over the outputs.

    `label_smoothing` a replaces t in the cross entropies: by (1 - a) t + a / classes (Szegedy et
    al. 2016, section 7), in binary_cross_entropy by (1 - a) t + a / 2. None is 0.

    All are Keras' own, so that a model compiled with them loads without any code of ours.
    """
    import keras  # not at the top: settings are checked without a backend

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
            # It takes one-hot targets for what they mean, -1 and +1.
            return keras.losses.Hinge(name=train.loss)
        case "squared_error":
            return keras.losses.MeanSquaredError(name=train.loss)
        case _:
            return keras.losses.MeanAbsoluteError(name=train.loss)


def metrics(train: TrainSettings, task: Task) -> list[keras.metrics.Metric]:
    """Return what is measured beside the loss.

    In classification "accuracy", the share of images whose largest logit is the right one; in
    regression "mae", the mean absolute error over images and outputs.
    """
    import keras  # not at the top: settings are checked without a backend

    if task == "regression":
        return [keras.metrics.MeanAbsoluteError(name="mae")]
    if wants_one_hot(train, task):
        return [keras.metrics.CategoricalAccuracy(name="accuracy")]
    return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
