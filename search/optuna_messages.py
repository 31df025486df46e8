"""Optuna's log lines and warnings, silenced for the time of a call.

Verbosity and warning filters belong to the process, which may be a user's notebook: nothing here
changes them for good.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

_lock = threading.Lock()
_quiet_calls = 0
_verbosity = 0  # before the first of the calls


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Let Optuna log errors only, and not warn of experimental features.

    It announces every study and warns of every experimental sampler; Assay has its own messages.

    Example:
        >>> with quiet_optuna():
        ...     study = optuna.create_study(sampler=optuna.samplers.GPSampler())
    """
    global _quiet_calls, _verbosity
    import optuna  # not at the top: whatever names a sampler must not import Optuna

    # Calls may overlap in several threads. If each restored what it had found, the last might
    # restore the verbosity of another call: so the last restores what the first has found.
    with _lock:
        _quiet_calls += 1
        if _quiet_calls == 1:
            _verbosity = optuna.logging.get_verbosity()
            optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with ignored_warnings(optuna.exceptions.ExperimentalWarning):
            yield
    finally:
        with _lock:
            _quiet_calls -= 1
            # Another level than ours was set by the user in the meantime.
            if _quiet_calls == 0 and optuna.logging.get_verbosity() == optuna.logging.ERROR:
                optuna.logging.set_verbosity(_verbosity)


@contextmanager
def ignored_warnings(category: type[Warning]) -> Iterator[None]:
    """Ignore warnings of a category, in all threads.

    `warnings.catch_warnings` replaces the list of filters by a copy and restores the list that it
    found. If two threads overlap in it, one of them restores the copy of the other, filters
    included, for good; and MLflow enters it in the tracking thread for every request. This adds one
    filter to the list and removes it again, which no other thread can undo or make permanent.
    """
    ignore = ("ignore", None, category, None, 0)
    filters = cast("list[Any]", warnings.filters)
    filters.insert(0, ignore)
    try:
        yield
    finally:
        _discard(filters, ignore)
        # The list is another one while some thread is inside `catch_warnings`: a copy, perhaps
        # with the filter in it, or the original if this one was a copy.
        if warnings.filters is not filters:
            _discard(cast("list[Any]", warnings.filters), ignore)


def _discard(filters: list[Any], item: Any) -> None:
    if item in filters:
        filters.remove(item)
