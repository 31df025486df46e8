"""Start of the tracker while the request is still checked."""

from __future__ import annotations

import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from assay.experiments.tracking.follower import MlflowTracker
from assay.experiments.tracking.store import prepared_tables


def test_a_tracker_without_permission_to_open_its_store_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (aside := tmp_path / "aside").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(aside))
    tracker = MlflowTracker(
        tmp_path / "journal.jsonl", f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts"
    )
    tracker.start()
    tracker.shut_down()
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "mlflow"]
    thread.join(60)
    assert list(tmp_path.iterdir()) == [aside]
    assert list(aside.iterdir()) == []


def test_tables_can_be_created_by_several_threads_at_once() -> None:
    """The thread of a request that was refused may still be at work."""

    def create(number: int) -> bool:
        with prepared_tables(f"sqlite:////no/such/folder-{number}/mlflow.db") as tables:
            return tables is not None and tables.is_file()

    with ThreadPoolExecutor() as threads:
        assert all(threads.map(create, range(4)))
