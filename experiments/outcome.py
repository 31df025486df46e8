"""How a command that trains ended, and whether MLflow has heard of all of it."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.session import Ending

_LATER = "the journal has it; the same command, or 'assay doctor --fix', passes on the rest"


@dataclass(frozen=True)
class Outcome:
    """How the work ended; `untracked` says why MLflow does not have everything by now, if it does not."""

    ending: Ending
    untracked: str | None

    @property
    def exit_code(self) -> int:
        """Return the command's: 1 too if the work is done and MLflow has not heard of all of it."""
        return self.ending.exit_code or int(self.untracked is not None)

    @property
    def failure(self) -> str | None:
        """Return in one line why the work failed, if it did, or why MLflow has not heard of all of it."""
        if self.ending.failure is not None or self.untracked is None:
            return self.ending.failure
        return f"MLflow has not taken everything ({self.untracked.strip()}): nothing is lost, {_LATER}."
