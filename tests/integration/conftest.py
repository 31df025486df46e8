"""Integration tests: all of the product but the training, which workers only seem to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_backend(quick_training: None) -> Iterator[None]:
    """Have workers train nothing, and see that no backend is imported in this process."""
    yield
    loaded = sorted({"keras", "tensorflow", "jax", "torch"} & set(sys.modules))
    assert loaded == []
