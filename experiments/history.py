"""What a study's journal says of each trial."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from search.events import EpochEnded, StudyOpened, TrialBegun, TrialEnded
from search.journal import read


@dataclass
class TrialHistory:
    """One trial: how it began, its epochs, how it ended; `end` is None while it has not."""

    begun: TrialBegun
    epochs: list[EpochEnded] = field(default_factory=list)
    end: TrialEnded | None = None


@dataclass
class History:
    """A study: how it was last opened, None if this home never ran it, and its trials by number."""

    opened: StudyOpened | None = None
    trials: dict[int, TrialHistory] = field(default_factory=dict)


def read_history(journal: Path, study_id: str | None) -> History:
    """Return what a journal says of the study of that id. One that is not there says nothing.

    Args:
        journal: the file; it may grow meanwhile.
        study_id: tells the study from an earlier one of its name, of which the journal may speak too.
    """
    history = History()
    ours = False
    for event, _ in read(journal):
        if isinstance(event, StudyOpened):
            ours = event.study_id == study_id
            history.opened = event if ours else history.opened
        elif isinstance(event, TrialBegun) and ours:
            history.trials[event.trial] = TrialHistory(event)
        elif isinstance(event, EpochEnded) and ours:
            _add(history.trials[event.trial].epochs, event)
        elif isinstance(event, TrialEnded) and ours:
            history.trials[event.trial].end = event
    return history


def _add(epochs: list[EpochEnded], event: EpochEnded) -> None:
    """Add an epoch. A trial whose worker died is trained from its first again: what was before no longer counts."""
    epochs[:] = [known for known in epochs if known.epoch < event.epoch]
    epochs.append(event)
