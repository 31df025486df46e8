"""The trials of a study as its journals record them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from assay.search.events import EpochEnded, StudyOpened, TrialBegun, TrialEnded
from assay.search.journal import read_events


@dataclass
class TrialHistory:
    """The events of one trial.

    Attributes:
        begun: its beginning.
        epochs: its epochs.
        end: its end; None while it runs.
    """

    begun: TrialBegun
    epochs: list[EpochEnded] = field(default_factory=list)
    end: TrialEnded | None = None


@dataclass
class StudyHistory:
    """The events of one study.

    Attributes:
        opened: how it was last opened; None if no journal knows the study.
        trials: its trials by number.
        supervisors: ids of the supervisors that ran it.
    """

    opened: StudyOpened | None = None
    trials: dict[int, TrialHistory] = field(default_factory=dict)
    supervisors: set[str] = field(default_factory=set)


def read_history(journals: Iterable[Path], study_id: str | None) -> StudyHistory:
    """Return what journals record of a study.

    Args:
        journals: the files, which need not exist and may grow meanwhile. Each trial is in one of
            them.
        study_id: of the study. The journals may hold an earlier study of the same name too.
    """
    history = StudyHistory()
    for journal in journals:
        _read_journal(journal, study_id, history)
    return history


def _read_journal(journal: Path, study_id: str | None, history: StudyHistory) -> None:
    is_of_study = False
    for event, _ in read_events(journal):
        if isinstance(event, StudyOpened):
            is_of_study = event.study_id == study_id
            if is_of_study and (history.opened is None or event.time >= history.opened.time):
                history.opened = event
            if is_of_study:
                history.supervisors.add(event.supervisor)
        elif isinstance(event, TrialBegun) and is_of_study:
            history.trials[event.trial] = TrialHistory(event)
        # A journal that others have changed may lack the beginning of a trial.
        elif isinstance(event, EpochEnded) and is_of_study and event.trial in history.trials:
            add_epoch(history.trials[event.trial].epochs, event)
        elif isinstance(event, TrialEnded) and is_of_study and event.trial in history.trials:
            history.trials[event.trial].end = event


def add_epoch(epochs: list[EpochEnded], event: EpochEnded) -> None:
    """Add an epoch to those of a trial."""
    # A trial whose worker died may be trained from an earlier epoch again: what was recorded from
    # there on no longer counts. Their numbers rise, so those are the last ones.
    while epochs and epochs[-1].epoch >= event.epoch:
        epochs.pop()
    epochs.append(event)
