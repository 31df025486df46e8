"""What the journal of a study's finalizes records."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from assay.search.events import (
    EpochEnded,
    FinalistTested,
    FinalizeJudged,
    FinalizePlan,
    StudyOpened,
    TestSetOpened,
    TrialBegun,
    TrialEnded,
)
from assay.search.history import TrialHistory, add_epoch
from assay.search.journal import read_events


@dataclass
class Training(TrialHistory):
    """The events of one re-training.

    Attributes:
        tested: its measures on the test set; None if there are none.
    """

    tested: FinalistTested | None = None

    @property
    def is_complete(self) -> bool:
        """Whether it has trained to its end."""
        return self.end is not None and self.end.state == "complete"

    @property
    def is_unmeasured(self) -> bool:
        """Whether its network could not be measured on the test set."""
        return self.tested is not None and self.tested.error is not None


@dataclass
class FinalizeRecord:
    """One finalize: all sessions up to its verdicts.

    Attributes:
        opened: how its last session began.
        plan: what it trains.
        trainings: its trainings by number.
        test_set_opened: that it opened the test set; None if it has not.
        judged: its verdicts; None if it has none yet.
    """

    opened: StudyOpened
    plan: FinalizePlan
    trainings: dict[int, Training] = field(default_factory=dict)
    test_set_opened: TestSetOpened | None = None
    judged: FinalizeJudged | None = None

    def ended_by_seed(self) -> dict[int, Training]:
        """Return the trainings that need not be done again, by seed."""
        return {
            training.begun.seed: training
            for training in self.trainings.values()
            if training.end is not None and training.end.reason != "interrupted"
        }


def read_finalizes(journal: Path, study_id: str | None) -> list[FinalizeRecord]:
    """Return the finalizes of a study, the first one first.

    Args:
        journal: of the study's finalizes; it need not exist.
        study_id: of the study. The journal may hold an earlier study of the same name too.

    Raises:
        DamagedFile: a line can't be read.
    """
    records: dict[int, FinalizeRecord] = {}
    current: FinalizeRecord | None = None
    for event, _ in read_events(journal):
        match event:
            case StudyOpened():
                is_of_study = event.study_id == study_id and event.finalize is not None
                current = _open_record(records, event) if is_of_study else None
            case TrialBegun() if current is not None:
                current.trainings[event.trial] = Training(current.opened, event)
            case EpochEnded() if current is not None and event.trial in current.trainings:
                add_epoch(current.trainings[event.trial].epochs, event)
            case TrialEnded() if current is not None and event.trial in current.trainings:
                current.trainings[event.trial].end = event
            case TestSetOpened() if current is not None:
                current.test_set_opened = current.test_set_opened or event
            case FinalistTested() if current is not None and event.trial in current.trainings:
                current.trainings[event.trial].tested = event
            case FinalizeJudged() if current is not None:
                current.judged = event
    return [records[opening] for opening in sorted(records)]


def _open_record(records: dict[int, FinalizeRecord], event: StudyOpened) -> FinalizeRecord:
    """Return the record of a session, which may go on with an earlier one."""
    assert event.finalize is not None
    opening = event.finalize.opening
    if opening not in records:
        records[opening] = FinalizeRecord(event, event.finalize)
    # Until the test set is opened, a session may ask for other configurations.
    record = records[opening]
    record.opened, record.plan = event, event.finalize
    return record


def planned_only(record: FinalizeRecord, seeds: Mapping[int, int]) -> FinalizeRecord:
    """Return a record without the trainings that its plan does not have.

    Args:
        record: the record.
        seeds: finalists by the seeds of the planned trainings.
    """
    trainings = {
        number: training
        for number, training in record.trainings.items()
        if seeds.get(training.begun.seed) == training.begun.finalist
    }
    return dataclasses.replace(record, trainings=trainings)
