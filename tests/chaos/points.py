"""Points between two effects of a trial, at which a process can die.

A point is a seam and a time: before it, after it, or "torn", when half of a journal line is
written.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

When = Literal["before", "after", "torn"]
Who = Literal["supervisor", "worker", "both"]

EVENTS = ("study_opened", "trial_begun", "epoch_ended", "trial_ended", "study_closed")
SEAMS = {
    "create study": "assay.search.study:StudyTrials.__init__",
    "recover": "assay.search.recovery:recover",
    "try again": "assay.search.recovery:enqueue_follow_ups",
    "enqueue": "assay.search.study:StudyTrials.enqueue",
    "ask": "assay.search.study:StudyTrials.ask",
    "call": "assay.search.workers.local_executor:LocalExecutor.call",
    "report": "assay.search.study:StudyTrials.report",
    "tell": "assay.search.study:StudyTrials.tell",
    "write end": "assay.search.study_record:StudyRecord.write_end",
    "retry": "assay.search.study:StudyTrials.enqueue_retry",
    "discard checkpoint": "assay.search.artifacts:Checkpoints.discard",
    "discard models": "assay.search.artifacts:ModelStore.keep_only",
    "create run": "mlflow:MlflowClient.create_run",
    "log batch": "mlflow:MlflowClient.log_batch",
    "log text": "mlflow:MlflowClient.log_text",
    "terminate run": "mlflow:MlflowClient.set_terminated",
    "move cursor": "assay.experiments.tracking.follower:Cursor.move",
    **{f"journal {event}": "assay.search.journal:Journal.append" for event in EVENTS},
}
_ONCE = (
    "create study",
    "recover",
    "try again",
    "enqueue",
    "log text",
    "journal study_opened",
    "journal study_closed",
)
"""Seams that a session passes once."""


SHARED = {
    "claim": "assay.search.storage.postgresql:SharedStorage._claim",
    "draw": "assay.search.space.space:Space.draw",
}
"""Seams of a study that supervisors share on PostgreSQL."""


FINALIZE = {
    "save network": "assay.experiments.decision.finalize:save_network",
    "journal finalize_judged": "assay.search.journal:Journal.append",
    "create version": "mlflow:MlflowClient.create_model_version",
    "move alias": "mlflow:MlflowClient.set_registered_model_alias",
    "delete networks": "assay.experiments.decision.finalize:delete_networks",
}
"""Seams of a finalize, from its last measurement to its end."""


@dataclass(frozen=True)
class Point:
    """Point at which a process dies.

    Attributes:
        seam: key of `SEAMS`, `SHARED` or `FINALIZE`.
        when: before the seam, after it, or in the middle of a journal line.
        nth: which passage of the seam, counted from 1.
        who: process that dies.
    """

    seam: str
    when: When
    nth: int = 2
    who: Who = "supervisor"

    def __str__(self) -> str:
        return f"{self.who} {self.when} {self.seam} ({self.nth})"


def every_point() -> list[Point]:
    """Return all points of `SEAMS`, for each process that may die there."""
    found = []
    for seam in SEAMS:
        nth = 1 if seam in _ONCE or seam == "retry" else 3
        found += [Point(seam, when, nth) for when in ("before", "after")]
        if seam.startswith("journal"):
            found.append(Point(seam, "torn", nth))
        if seam not in _ONCE and "run" not in seam and seam not in ("log batch", "move cursor"):
            found += [Point(seam, "after", nth, who) for who in ("worker", "both")]
    return found


def shared_points() -> list[Point]:
    """Return the points that matter for a shared study.

    There a death has other effects than in a study with one supervisor.
    """
    seams = {
        "create study": 1,
        "recover": 1,
        "try again": 1,
        "enqueue": 1,
        "ask": 3,
        "draw": 4,
        "claim": 1,
        "tell": 2,
    }
    return [Point(seam, when, nth) for seam, nth in seams.items() for when in ("before", "after")]


def finalize_points() -> list[Point]:
    """Return the points of `FINALIZE`."""
    found = [Point(seam, when, 1) for seam in FINALIZE for when in ("before", "after")]
    return [*found, Point("journal finalize_judged", "torn", 1)]


def doctors_points() -> list[Point]:
    """Return the points that `assay doctor --fix` passes.

    The sweep before it was killed when it recorded the end of a trial in Optuna.
    """
    seams = (
        "recover",
        "write end",
        "journal trial_ended",
        "journal study_closed",
        "move cursor",
        "terminate run",
    )
    found = [Point(seam, when, 1) for seam in seams for when in ("before", "after")]
    return [*found, *(Point(seam, "torn", 1) for seam in seams if seam.startswith("journal"))]


def arm(point: Point, workers: Callable[[], list[int]]) -> None:
    """Make this process, or its workers, die at a point.

    Args:
        point: point, and process that dies.
        workers: returns the process ids of the current workers.
    """
    module, _, path = {**SEAMS, **SHARED, **FINALIZE}[point.seam].partition(":")
    owner: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    original = getattr(owner, name)
    passed = 0

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        nonlocal passed
        is_it = not point.seam.startswith("journal") or _name(args[1]) == point.seam.split()[1]
        passed += is_it
        due = is_it and passed == point.nth
        if due and point.when == "before":
            _die(point, workers)
        if due and point.when == "torn":
            _tear(args[0], args[1])
            _die(point, workers)
        result = original(*args, **kwargs)
        if due and point.when == "after":
            _die(point, workers)
        return result

    setattr(owner, name, watched)


def _name(event: Any) -> str:
    from assay.search.events import EVENT_NAMES

    return EVENT_NAMES[type(event)]


def _tear(journal: Any, event: Any) -> None:
    from assay.search.events import to_record

    line = json.dumps(to_record(event)).encode()
    with journal.path.open("ab") as file:
        file.write(line[: len(line) // 2])


def _die(point: Point, workers: Callable[[], list[int]]) -> None:
    if point.who != "supervisor":
        for pid in workers():
            with contextlib.suppress(ProcessLookupError):  # it has already died
                os.kill(pid, signal.SIGKILL)
    if point.who != "worker":
        os.kill(os.getpid(), signal.SIGKILL)
