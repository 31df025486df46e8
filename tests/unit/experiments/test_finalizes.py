"""What a finalize trains, and what of earlier sessions counts."""

from __future__ import annotations

import dataclasses

import pytest

from assay.experiments.decision.finalists import Trainings
from assay.experiments.results.finalizes import (
    FinalizeRecord,
    PlannedTraining,
    Training,
    planned_trainings,
)
from assay.search.events import (
    FinalistConfiguration,
    FinalistTested,
    FinalizePlan,
    StudyOpened,
    TrialBegun,
    TrialEnded,
)
from assay.search.failure_policy import FailurePolicy

PLAN = FinalizePlan(
    opening=1,
    top=2,
    seeds=3,
    splits=False,
    seed=7,
    finalists=(
        FinalistConfiguration(4, {"units": 8}, False, 0.9),
        FinalistConfiguration(0, {"units": 2}, True, 0.8),
    ),
)
OPENED = StudyOpened(
    study="study", study_id="id", experiment="x", provenance={}, text="", data={}, finalize=PLAN
)


def training(
    planned: PlannedTraining,
    number: int,
    reason: str | None = None,
    error: str | None = None,
    attempt: int = 1,
) -> Training:
    """Return a training that has ended, and was measured if it is complete."""
    begun = TrialBegun(
        trial=number,
        seed=planned.seed,
        params={},
        searched=planned.searched,
        origin="",
        attempt=attempt,
        finalist=planned.finalist,
    )
    end = TrialEnded(trial=number, state="complete" if reason is None else "failed", reason=reason)
    tested = None if reason is not None else FinalistTested(trial=number, error=error)
    return Training(OPENED, begun, end=end, tested=tested)


def record(*trainings: Training) -> FinalizeRecord:
    return FinalizeRecord(OPENED, PLAN, {one.begun.trial: one for one in trainings})


@pytest.mark.parametrize("change", [{"splits": True}, {"opening": 2}, {"seed": 8}])
def test_another_finalize_has_other_seeds(change: dict[str, int]) -> None:
    seeds = {one.seed for one in planned_trainings(PLAN)}
    others = {one.seed for one in planned_trainings(dataclasses.replace(PLAN, **change))}
    assert len(seeds) == len(others) == 6
    assert not seeds & others


def test_more_seeds_begin_with_those_of_fewer() -> None:
    more = planned_trainings(dataclasses.replace(PLAN, seeds=5))
    assert more[:6] == planned_trainings(PLAN)


@pytest.mark.parametrize(
    ("reason", "error", "attempt", "done"),
    [
        (None, None, 1, True),
        (None, "crashed", 1, False),
        ("diverged", None, 1, True),
        ("interrupted", None, 1, False),
        ("crashed (SIGKILL)", None, 1, False),
        ("crashed (SIGKILL)", None, 2, True),
    ],
)
def test_what_ended_is_not_done_again(
    reason: str | None, error: str | None, attempt: int, done: bool
) -> None:
    first, *_ = planned_trainings(PLAN)
    earlier = record(training(first, 0, reason, error, attempt))
    trainings = Trainings(PLAN, earlier, 1, FailurePolicy())
    assert trainings.count_done() == done
    asked = [trainings.ask() for _ in range(6 - done)]
    assert trainings.ask() is None
    again = [trial for trial in asked if trial is not None and trial.seed == first.seed]
    assert len(again) == (not done)
    if again:
        is_retry = reason is not None and reason.startswith("crashed")
        assert (again[0].attempt, again[0].retry_of) == ((2, 0) if is_retry else (1, None))


def test_only_planned_trainings_count() -> None:
    more = dataclasses.replace(PLAN, seeds=4)
    everything = [training(one, number) for number, one in enumerate(planned_trainings(more))]
    ended = record(*everything).ended_by_seed()
    assert [*ended] == [one.seed for one in planned_trainings(PLAN)]


def test_the_last_training_of_a_seed_counts() -> None:
    first, *_ = planned_trainings(PLAN)
    both = record(training(first, 0, error="crashed"), training(first, 9))
    assert both.ended_by_seed()[first.seed].begun.trial == 9
