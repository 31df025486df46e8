"""What the journals of a study record: its sessions and its trials."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from assay.search.events import EpochEnded, StudyOpened, TrialBegun, TrialEnded
from assay.search.journal import read_events


@dataclass
class TrialHistory:
    """The events of one trial.

    Attributes:
        session: how the session began that trained it.
        begun: its beginning.
        epochs: its epochs.
        end: its end; None while it runs.
    """

    session: StudyOpened
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
        sessions: times of the first and the last event of each session, in seconds since the epoch.
            A session that was killed has no event of its end.
    """

    opened: StudyOpened | None = None
    trials: dict[int, TrialHistory] = field(default_factory=dict)
    supervisors: set[str] = field(default_factory=set)
    sessions: list[tuple[float, float]] = field(default_factory=list)


def read_sessions(journals: Iterable[Path], study_id: str | None) -> Iterator[StudyOpened]:
    """Yield how each session of a study began.

    Args:
        journals: the files, which need not exist.
        study_id: of the study. The journals may hold an earlier study of the same name too.

    Raises:
        DamagedFile: a line can't be read.
    """
    for journal in journals:
        for event, _ in read_events(journal, only=[StudyOpened]):
            if isinstance(event, StudyOpened) and event.study_id == study_id:
                yield event


def read_history(
    journals: Iterable[Path], study_id: str | None, trial: int | None = None
) -> StudyHistory:
    """Return what journals record of a study.

    Args:
        journals: the files, which need not exist and may grow meanwhile. Each trial is in one of
            them.
        study_id: of the study, as in `read_sessions`.
        trial: number of the only trial that is read; None for all.

    Raises:
        DamagedFile: a line can't be read.
    """
    history = StudyHistory()
    for journal in journals:
        _read_journal(journal, study_id, trial, history)
    return history


def _read_journal(
    journal: Path, study_id: str | None, trial: int | None, history: StudyHistory
) -> None:
    session: StudyOpened | None = None
    # Of a whole study every line is read, so that a damaged one is an error.
    kinds = [] if trial is None else [StudyOpened, TrialBegun, EpochEnded, TrialEnded]
    for event, _ in read_events(journal, only=kinds, trial=trial):
        if isinstance(event, StudyOpened):
            session = event if event.study_id == study_id else None
            if session is None:
                continue
            history.supervisors.add(event.supervisor)
            history.sessions.append((event.time, event.time))
            if history.opened is None or event.time >= history.opened.time:
                history.opened = event
            continue
        if session is None:
            continue
        begin, end = history.sessions[-1]
        history.sessions[-1] = (begin, max(end, event.time))
        if isinstance(event, TrialBegun):
            history.trials[event.trial] = TrialHistory(session, event)
        # A journal that others have changed may lack the beginning of a trial.
        elif isinstance(event, EpochEnded) and event.trial in history.trials:
            add_epoch(history.trials[event.trial].epochs, event)
        elif isinstance(event, TrialEnded) and event.trial in history.trials:
            history.trials[event.trial].end = event


def add_epoch(epochs: list[EpochEnded], event: EpochEnded) -> None:
    """Add an epoch to those of a trial."""
    # A trial whose worker died may be trained from an earlier epoch again: what was recorded from
    # there on no longer counts. Their numbers rise, so those are the last ones.
    while epochs and epochs[-1].epoch >= event.epoch:
        epochs.pop()
    epochs.append(event)
