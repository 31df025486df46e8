"""Which data sets suit which task."""

from __future__ import annotations

from experiments.data.archive_source import ARCHIVE_PREFIX
from experiments.data.generated import GENERATED
from experiments.data.settings import DataSettings
from models.errors import RequestError
from models.tasks import Task


def check_task(settings: DataSettings, task: Task) -> None:
    """See that a data set has what the task needs: classes, or numbers. Of the user's own arrays only they can tell.

    Raises:
        RequestError: it has the other.
    """
    name = settings.name
    if name.startswith(ARCHIVE_PREFIX):
        return
    suited = GENERATED[name].task if name in GENERATED else "classification"
    if task != suited:
        has = {"classification": "has classes", "regression": "has numbers to predict"}[suited]
        raise RequestError(f"{name} {has}: task must be '{suited}'; received '{task}'.")
