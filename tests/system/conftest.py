"""System tests train, kill and serve. Their time limit only stops a test that hangs."""

from __future__ import annotations

from pathlib import Path

import pytest

_GUARD_SECONDS = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if (
            Path(__file__).parent in item.path.parents
            and item.get_closest_marker("timeout") is None
        ):
            item.add_marker(pytest.mark.timeout(_GUARD_SECONDS))
