"""Integration tests: all of the product but the training, which workers only seem to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

_BACKENDS = {"keras", "tensorflow", "jax", "torch"}


@pytest.fixture(autouse=True)
def no_backend(quick_training: None) -> Iterator[None]:
    """Have workers train nothing, and see that no backend is imported in this process."""
    before = _BACKENDS & set(sys.modules)  # by system tests, where all tests run in one process
    yield
    assert _BACKENDS & set(sys.modules) == before
