"""What the journal of a study's finalizes records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from assay.models.seeding import finalist_seed
from assay.search.events import (
    EpochEnded,
    FinalistConfiguration,
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
from assay.search.space import Configuration


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
        """Return the last ended training of each planned seed; an interrupted one has not ended.

        Sessions before the test set was opened may have trained what the plan no longer has.
        """
        planned = {one.seed: one.finalist for one in planned_trainings(self.plan)}
        return {
            training.begun.seed: training
            for training in self.trainings.values()
            if training.end is not None
            and training.end.reason != "interrupted"
            and planned.get(training.begun.seed) == training.begun.finalist
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


def count_openings(records: Sequence[FinalizeRecord]) -> int:
    """Return how many times the finalizes of a study opened its test set."""
    return max((one.plan.opening for one in records if one.test_set_opened is not None), default=0)


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


def configuration_key(searched: Mapping[str, object]) -> str:
    """Return a text that equal configurations share."""
    return json.dumps(dict(searched), sort_keys=True)


@dataclass(frozen=True)
class PlannedTraining:
    """One configuration with one seed.

    Attributes:
        finalist: number of the trial that the configuration is from.
        searched: the configuration.
        seed: of initial weights, batch order and augmentation, and of the split with `--splits`.
    """

    finalist: int
    searched: Configuration
    seed: int


def planned_trainings(plan: FinalizePlan) -> list[PlannedTraining]:
    """Return the trainings of a plan: the first seed of every configuration, then the second."""
    return [
        PlannedTraining(
            finalist.trial,
            finalist.searched,
            finalist_seed(plan.seed, plan.opening, _seed_key(plan, finalist), index),
        )
        for index in range(plan.seeds)
        for finalist in plan.finalists
    ]


def _seed_key(plan: FinalizePlan, finalist: FinalistConfiguration) -> str:
    """Return what tells the trainings of a configuration from all others of an opening."""
    # On another split the same configuration is another training.
    return configuration_key(finalist.searched) + ("/splits" if plan.splits else "")
