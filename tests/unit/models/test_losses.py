"""Losses and the tasks that they support."""

from __future__ import annotations

import pytest

from assay.models.errors import RequestError
from assay.models.tasks import DEFAULT_LOSS, TASKS, Task
from assay.models.training.config import LOSSES, TrainSettings, check_loss_for_task


@pytest.mark.parametrize(("loss", "tasks"), LOSSES.items())
@pytest.mark.parametrize("task", TASKS)
def test_a_loss_is_refused_for_other_tasks(loss: str, tasks: tuple[Task, ...], task: Task) -> None:
    train = TrainSettings(loss=loss)
    if task in tasks:
        check_loss_for_task(train, task)
    else:
        with pytest.raises(
            RequestError,
            match=rf"a loss for {task}: received '{loss}'; use one of squared_error, abs",
        ):
            check_loss_for_task(train, task)


@pytest.mark.parametrize(("task", "loss"), DEFAULT_LOSS.items())
def test_a_task_has_a_default_loss(task: Task, loss: str) -> None:
    assert TrainSettings.read_for(task, {}, "[train]").loss == loss
    assert (
        TrainSettings.read_for(task, {"loss": "absolute_error"}, "[train]").loss == "absolute_error"
    )


@pytest.mark.parametrize("loss", ["hinge", "squared_error", "absolute_error"])
def test_unused_label_smoothing_is_refused(loss: str) -> None:
    with pytest.raises(
        RequestError, match=rf"received label_smoothing = 0.1 with loss = '{loss}'; remove one"
    ):
        TrainSettings.read({"label_smoothing": 0.1, "loss": loss}, "[train]")
