"""What is offered to workers, told from what the machine shows."""

from __future__ import annotations

import pytest

from assay.search.system import hardware


@pytest.mark.parametrize(("workers", "threads"), [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1)])
def test_threads_are_shared_out_and_never_none(
    workers: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "cores", lambda: 8)
    assert hardware.threads_each(workers) == threads
