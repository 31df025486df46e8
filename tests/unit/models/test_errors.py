"""Errors and their exit codes; detection of errors for lack of memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.models.architectures.custom_import import attribute_user_errors
from assay.models.architectures.registry import get_family
from assay.models.errors import (
    AssayError,
    OutOfMemory,
    RequestError,
    SearchError,
    WorkerBug,
    is_out_of_memory,
)

ENDLESS = 1 << 50


def raised(act: Callable[[], Any]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the backend chooses the class
        act()
    return caught.value


class OutOfMemoryError(RuntimeError):
    """Stands in for torch's class of this name."""


def in_a_factory(own_nets: Path) -> None:
    factory = get_family("nets.py:functional", [str(own_nets)]).factory
    with attribute_user_errors(factory, "calling it"):
        np.ones(ENDLESS)


@pytest.mark.parametrize(
    "act",
    [
        lambda: bytes(ENDLESS),
        lambda: np.ones(ENDLESS),
        lambda: (_ for _ in ()).throw(OutOfMemoryError("CUDA out of memory.")),
        lambda: (_ for _ in ()).throw(
            RuntimeError("failed: CUDA_ERROR_OUT_OF_MEMORY: out of memory")
        ),
    ],
)
def test_out_of_memory_errors_are_detected(act: Callable[[], Any]) -> None:
    assert is_out_of_memory(raised(act))


def test_out_of_memory_in_a_custom_factory_is_not_a_user_error(
    own_nets: Path,
) -> None:
    error = raised(lambda: in_a_factory(own_nets))
    assert isinstance(error, RequestError), "blame has had its way with it"
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error", [ValueError("no such layer"), IndexError("out of range"), OSError("disk full")]
)
def test_other_errors_are_not_out_of_memory(error: Exception) -> None:
    assert not is_out_of_memory(error)


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (RequestError("wrong"), 2),
        (SearchError("failed"), 1),
        (SearchError("stopped", exit_code=143), 143),
        (OutOfMemory("no room"), 1),
        (WorkerBug("a traceback"), 1),
    ],
)
def test_every_error_has_its_exit_code(error: AssayError, exit_code: int) -> None:
    assert error.exit_code == exit_code


def test_a_bug_in_a_worker_is_neither_a_failed_search_nor_a_wrong_request() -> None:
    assert not issubclass(WorkerBug, SearchError | RequestError)
    assert not issubclass(SearchError, RequestError)
