"""Optuna is silent during a sweep, and its settings are restored afterwards."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator

import optuna
import pytest
from optuna.exceptions import ExperimentalWarning

from assay.search.optuna_messages import ignored_warnings, quiet_optuna

IGNORED = ("ignore", None, ExperimentalWarning, None, 0)


@pytest.fixture(autouse=True)
def _as_a_user_has_it() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    yield
    optuna.logging.set_verbosity(before)


def state() -> tuple[int, int, list[object]]:
    return optuna.logging.get_verbosity(), id(warnings.filters), list(warnings.filters)


def test_logs_and_warnings_are_suppressed_and_restored(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inside = state()
        with quiet_optuna():
            optuna.create_study(sampler=optuna.samplers.QMCSampler())
        assert state() == inside
        with pytest.raises(ExperimentalWarning):
            optuna.samplers.QMCSampler()
    assert state() == before
    assert capfd.readouterr().err == ""


def test_an_exception_restores_the_settings() -> None:
    before = state()
    with pytest.raises(ZeroDivisionError), quiet_optuna():
        raise ZeroDivisionError
    assert state() == before


def test_the_last_of_overlapping_calls_restores() -> None:
    """The order of the ends and the threads do not matter."""
    before = state()
    first, second = quiet_optuna(), quiet_optuna()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert optuna.logging.get_verbosity() == optuna.logging.ERROR
    other = threading.Thread(target=second.__exit__, args=(None, None, None))
    other.start()
    other.join()
    assert state() == before


def test_a_level_set_by_the_user_is_kept() -> None:
    with quiet_optuna():
        optuna.logging.set_verbosity(optuna.logging.DEBUG)
    assert optuna.logging.get_verbosity() == optuna.logging.DEBUG


@pytest.mark.parametrize("first_to_leave", ["ours", "theirs"])
@pytest.mark.parametrize("first_to_enter", ["ours", "theirs"])
def test_warnings_caught_in_another_thread_leave_no_filter_behind(
    first_to_enter: str, first_to_leave: str
) -> None:
    """MLflow's thread enters `catch_warnings`, which is not thread-safe, for every request."""
    before = state()
    ours, theirs = ignored_warnings(ExperimentalWarning), warnings.catch_warnings()
    order = [ours, theirs] if first_to_enter == "ours" else [theirs, ours]
    for each in order:
        each.__enter__()
    assert IGNORED in warnings.filters
    order = [ours, theirs] if first_to_leave == "ours" else [theirs, ours]
    for each in order:
        each.__exit__(None, None, None)
    assert state() == before


def test_an_equal_filter_of_the_user_is_kept() -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ExperimentalWarning)
        before = state()
        with ignored_warnings(ExperimentalWarning):
            assert list(warnings.filters).count(IGNORED) == 2
        assert state() == before
