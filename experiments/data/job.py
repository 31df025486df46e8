"""What the process that prepares data is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.tasks import Task


@dataclass(frozen=True)
class Job:
    """What to prepare; all paths absolute.

    Attributes:
        settings: the fields of `DataSettings`.
        home: the folder for everything that running produces.
        task: what it is prepared for, 'classification' or 'regression'.
        data_dir: where known sets are kept.
        base: what a relative path of a user's own set is relative to.
        parent: process id of who asks.
    """

    settings: dict[str, Any]
    task: Task
    home: str
    data_dir: str
    base: str
    parent: int
