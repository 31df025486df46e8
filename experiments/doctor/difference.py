"""What differs between the places that a study lies in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """One thing that does not agree.

    Attributes:
        study: its name.
        trial: its number; None if it is of the whole study.
        what: which place says what.
        run_id: the run that can't be put right, but only be made anew; None if no run is wrong.
        deleted: the run that somebody deleted, to be restored; None if none was.
        astray: a run, and that of the study, below which it belongs; None if it is there.
    """

    study: str
    trial: int | None
    what: str
    run_id: str | None = None
    deleted: str | None = None
    astray: tuple[str, str] | None = None

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {"study": self.study, "trial": self.trial, "what": self.what}

    def __str__(self) -> str:
        whose = "" if self.trial is None else f" trial {self.trial}"
        return f"{self.study}{whose}: {self.what}"
