"""System tests train, kill and serve. Their time limit only stops a test that hangs."""

from __future__ import annotations

from pathlib import Path

import pytest

_GUARD_SECONDS = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Limit the time of each test, and let pytest-xdist distribute the files.

    The tests of a file share what its fixtures made. Tests that take minutes have a group of their
    own, and begin first: the last of them would keep one core busy and the other idle.
    """
    folder = Path(__file__).parent
    mine = [item for item in items if folder in item.path.parents]
    is_alone = {item: item.get_closest_marker("xdist_group") is not None for item in mine}
    for item in mine:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_GUARD_SECONDS))
        if not is_alone[item]:
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(folder))))
    items.sort(key=lambda item: not is_alone.get(item, False))
