"""Where the model of a study's best trial is kept while the study runs: one file, not one a trial."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Set
from pathlib import Path

_OF_TRIAL = re.compile(r"\.?trial-(\d+)")  # with a dot before it while a worker is still writing it


class ModelShelf:
    """A folder of `.keras` files by trial number.

    A worker writes a trial's file before the trial is recorded as ended, so the file is under the trial's own number:
    the model of the best so far is never overwritten by one that might not be recorded.

    Args:
        folder: the shelf's own.
        others: returns those of other supervisors of the study, whose trials may be among the best too.
    """

    def __init__(self, folder: Path, others: Callable[[], Iterable[Path]] = tuple) -> None:
        self._folder = folder
        self._others = others

    def path(self, number: int) -> Path:
        """Return where a trial's model goes; the folder is there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"trial-{number:04d}.keras"

    def find(self, number: int) -> Path | None:
        """Return the file of a trial's model, if it was kept, by whomever."""
        files = (folder / f"trial-{number:04d}.keras" for folder in (self._folder, *self._others()))
        return next((file for file in files if file.exists()), None)

    def clear(self, keep: Set[int]) -> None:
        """Delete the models of all other trials."""
        for path in self._folder.glob("*.keras"):
            name = _OF_TRIAL.match(path.name)
            if name is not None and int(name[1]) not in keep:
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the shelf and what is on it."""
        shutil.rmtree(self._folder, ignore_errors=True)
