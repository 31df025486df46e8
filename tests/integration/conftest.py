"""Integration tests: the whole product with a stub in place of the training."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

_BACKENDS = {"keras", "tensorflow", "jax", "torch"}


@pytest.fixture(autouse=True)
def no_backend(quick_training: None) -> Iterator[None]:
    """Stub the training, and check that this process imports no backend."""
    before = _BACKENDS & set(sys.modules)  # system tests run in one process and import backends
    yield
    assert _BACKENDS & set(sys.modules) == before
