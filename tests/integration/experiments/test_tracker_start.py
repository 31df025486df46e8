"""What a sweep does while nobody knows yet whether it can be made."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import pytest

from assay.experiments.tracking.follower import MlflowTracker


def test_a_store_that_nobody_allowed_to_be_opened_leaves_nothing(
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
