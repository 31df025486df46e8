"""What a study's journals say of each trial."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from assay.search.events import EpochEnded, StudyOpened, TrialBegun, TrialEnded
from assay.search.journal import read


@dataclass
class TrialHistory:
    """One trial: how it began, its epochs, how it ended; `end` is None while it has not."""

    begun: TrialBegun
    epochs: list[EpochEnded] = field(default_factory=list)
    end: TrialEnded | None = None


@dataclass
class History:
    """A study: how it was last opened, None if this home never ran it, its trials by number, and by
    whom it was run.
    """

    opened: StudyOpened | None = None
    trials: dict[int, TrialHistory] = field(default_factory=dict)
    supervisors: set[str] = field(default_factory=set)


def read_history(journals: Iterable[Path], study_id: str | None) -> History:
    """Return what journals say of the study of that id. One that is not there says nothing.

    Args:
        journals: the files, each of which may grow meanwhile; no two of them tell of one trial.
        study_id: tells the study from an earlier one of its name, of which the journals may speak
            too.
    """
    history = History()
    for journal in journals:
        _read(journal, study_id, history)
    return history


def _read(journal: Path, study_id: str | None, history: History) -> None:
    ours = False
    for event, _ in read(journal):
        if isinstance(event, StudyOpened):
            ours = event.study_id == study_id
            if ours and (history.opened is None or event.time >= history.opened.time):
                history.opened = event
            if ours:
                history.supervisors.add(event.supervisor)
        elif isinstance(event, TrialBegun) and ours:
            history.trials[event.trial] = TrialHistory(event)
        elif isinstance(event, EpochEnded) and ours:
            _add(history.trials[event.trial].epochs, event)
        elif isinstance(event, TrialEnded) and ours:
            history.trials[event.trial].end = event


def _add(epochs: list[EpochEnded], event: EpochEnded) -> None:
    """Add an epoch. A trial whose worker died is trained from its first again: what was before no
    longer counts.
    """
    epochs[:] = [known for known in epochs if known.epoch < event.epoch]
    epochs.append(event)
