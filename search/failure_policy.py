"""Failure policy of a search."""

from __future__ import annotations

from dataclasses import dataclass

from assay.search.events import CRASHED_LABEL, INTERRUPTED_LABEL
from assay.search.workers.protocol import REDO, RETRY, FollowUp


@dataclass(frozen=True)
class FailurePolicy:
    """Which failed trials are tried again, and when a search gives up.

    Args:
        max_failures: number of failed trials in a row that ends the search.
        retries: number of further attempts at a configuration whose worker died.
        trial_timeout_seconds: time within which a worker must answer a call; else it is killed and
            its trial fails. A call begins a trial, trains an epoch of it, or finishes it. None for
            no limit.

    Example:
        >>> policy = FailurePolicy(retries=1)
        >>> policy.choose_follow_up("failed: interrupted", attempt=2)
        'redo of'
        >>> policy.choose_follow_up("failed: crashed (SIGKILL)", attempt=1)
        'retry of'
        >>> policy.choose_follow_up("failed: crashed (SIGKILL)", attempt=2) is None
        True
    """

    max_failures: int = 5
    retries: int = 1
    trial_timeout_seconds: float | None = None

    def choose_follow_up(self, label: str, attempt: int) -> FollowUp | None:
        """Return whether a redo, a retry or nothing (None) follows a trial that has ended.

        Other failures are caused by the configuration and would happen again.

        Args:
            label: `TrialEnded.label` of the trial.
            attempt: the attempt that the trial was.
        """
        if label == INTERRUPTED_LABEL:
            return REDO  # counts as no attempt
        if label.startswith(CRASHED_LABEL) and attempt <= self.retries:
            return RETRY
        return None


FAIL_FAST = FailurePolicy(max_failures=1, retries=0)
