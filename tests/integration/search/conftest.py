"""Fixture with a study and real workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)
