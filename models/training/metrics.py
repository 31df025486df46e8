"""Metrics by name: what every epoch measures beside the loss.

A metric is one entry of `METRICS`, for example:

    Metric("f1", ("classification",), _create_f1, needs_one_hot=True)

    def _create_f1(one_hot: bool) -> keras.metrics.Metric:
        import keras  # not at the top: settings are checked without a backend

        return keras.metrics.F1Score(average="macro", name="f1")

Every epoch then reports `f1` and `val_f1`, and both names are valid in `objectives`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assay.models.tasks import Task

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Metric:
    """A metric that is measured in every epoch.

    Attributes:
        name: as trials report it; the value on the validation images is reported as val_NAME.
        tasks: tasks in which it is measured.
        create: (one_hot) -> a new Keras metric of that name; `one_hot` says whether it is given
            labels as rows (batch, classes) or as numbers (batch,).
        needs_one_hot: whether the metric needs labels as rows; all losses then take them as rows.
    """

    name: str
    tasks: tuple[Task, ...]
    create: Callable[[bool], keras.metrics.Metric]
    needs_one_hot: bool = False


def _create_accuracy(one_hot: bool) -> keras.metrics.Metric:
    """Create accuracy: the share of images whose largest logit is that of their class."""
    import keras  # not at the top: settings are checked without a backend

    if one_hot:
        return keras.metrics.CategoricalAccuracy(name="accuracy")
    return keras.metrics.SparseCategoricalAccuracy(name="accuracy")


def _create_mae(one_hot: bool) -> keras.metrics.Metric:
    """Create the mean absolute error over images and outputs."""
    import keras  # not at the top: settings are checked without a backend

    return keras.metrics.MeanAbsoluteError(name="mae")


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", ("classification",), _create_accuracy),
        Metric("mae", ("regression",), _create_mae),
    )
}


def task_metrics(task: Task) -> list[Metric]:
    """Return the metrics that are measured in a task."""
    return [metric for metric in METRICS.values() if task in metric.tasks]


def metric_names(task: Task) -> tuple[str, ...]:
    """Return the names that an epoch reports.

    For the validation images it reports the same names with "val_" before them.

    Example:
        >>> metric_names("classification")
        ('loss', 'accuracy')
    """
    return ("loss", *(metric.name for metric in task_metrics(task)))


def create_metrics(task: Task, one_hot: bool) -> list[keras.metrics.Metric]:
    """Create the Keras metrics of a task.

    Args:
        task: what the network predicts.
        one_hot: whether the metrics are given labels as rows; see `losses.wants_one_hot`.
    """
    return [metric.create(one_hot) for metric in task_metrics(task)]
