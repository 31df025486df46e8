"""Of several runs of one trial, or of a study itself, the one that counts: for who writes, reads and mends alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from experiments.tracking.schema import PARENT_TAG, TRIAL_TAG

if TYPE_CHECKING:
    from mlflow.entities import Run


def is_deleted(run: Run) -> bool:
    """Return whether somebody deleted a run."""
    return bool(run.info.lifecycle_stage == "deleted")


def ranked(runs: Iterable[Run]) -> Sequence[Run]:
    """Return runs of one trial, the one that counts first: one that is not deleted, then the oldest."""
    return sorted(runs, key=lambda run: (is_deleted(run), *_age(run)))


def ranked_parents(runs: Iterable[Run]) -> Sequence[Run]:
    """Return a study's own runs among all its runs, the one that counts first.

    That is one that is not deleted, then the one that most trials name, then the oldest.
    """
    every = list(runs)
    named = Counter(run.data.tags.get(PARENT_TAG) for run in every if TRIAL_TAG in run.data.tags)
    parents = [run for run in every if TRIAL_TAG not in run.data.tags]
    return sorted(parents, key=lambda run: (is_deleted(run), -named[run.info.run_id], *_age(run)))


def _age(run: Run) -> tuple[int, str]:
    # What was made twice, because an answer did not come, has one time: the id decides, for everybody the same.
    return int(run.info.start_time or 0), str(run.info.run_id)
