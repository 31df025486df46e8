"""Where trainings under way are kept, so that an interrupted one goes on from its last epoch."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from search.protocols import Trial


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a study, a file a configuration: a trial and its redos and retries share their seed.

    Args:
        folder: of the study's own.
    """

    folder: Path

    def path(self, trial: Trial) -> Path:
        """Return the file of a trial; its folder is made if it is not there yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"seed-{trial.seed}.npz"

    def forget(self, trial: Trial) -> None:
        """Remove the file of a trial that nobody will go on with."""
        for suffix in (".npz", ".partial"):  # the latter of a worker that was killed as it wrote
            (self.folder / f"seed-{trial.seed}{suffix}").unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self.folder, ignore_errors=True)
