"""Data that stay where training reads them, from one trial to the next."""

from __future__ import annotations

from pathlib import Path

from models.assignment import Assignment, DataChoice
from models.backends.interface import Backend
from models.backends.tolerant import TolerantResident
from models.data import TrainingData, load
from models.errors import RequestError
from models.programs import Programs


class Holder:
    """Keeps what the last trial was trained on resident.

    Args:
        backend: on which.

    Attributes:
        programs: what was compiled for these data.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.programs = Programs()
        self._held: tuple[DataChoice, str, TolerantResident] | None = None

    def resident(self, assignment: Assignment) -> TolerantResident:
        """Return the data where the backend reads it, kept from the last trial if that trained on the same.

        Raises:
            RequestError: the data can't be read, or are for another task.
        """
        choice, data = assignment.data, load_for(assignment)
        if self._held is None or self._held[:2] != (choice, data.digest):
            # First let go of the old, lest both be in memory; what was compiled reads them.
            self._held, self.programs = None, Programs()
            self._held = (choice, data.digest, TolerantResident(self.backend.hold(data), data))
        return self._held[2]


def load_for(assignment: Assignment) -> TrainingData:
    """Open an assignment's data.

    Raises:
        RequestError: they can't be read, or are for another task.
    """
    data = load(Path(assignment.data.folder), assignment.data.scale)
    if data.task != assignment.task:
        raise RequestError(
            f"the data must be prepared for the trial's task: received {assignment.task} on {data.name}, prepared for "
            f"{data.task}; change the task or have the data prepared again."
        )
    return data
