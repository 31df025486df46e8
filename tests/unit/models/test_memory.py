"""Peak memory of one trial."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.models.worker import memory
from assay.models.worker.memory import PeakMemory

BLOCK_BYTES = 64 << 20


def test_a_peak_is_kept_after_the_memory_is_released() -> None:
    peak = PeakMemory()
    before = peak.peak_bytes()
    block = np.ones(BLOCK_BYTES, np.uint8)
    peak.sample()
    del block
    assert peak.peak_bytes() - before > 0.8 * BLOCK_BYTES


def test_memory_held_before_the_trial_does_not_count() -> None:
    first = PeakMemory()
    block = np.ones(BLOCK_BYTES, np.uint8)
    first.sample()
    del block
    assert first.peak_bytes() - PeakMemory().peak_bytes() > 0.5 * BLOCK_BYTES


def test_without_kernel_support_the_largest_sampled_size_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "_CLEAR_REFS", tmp_path / "no" / "clear_refs")
    test_a_peak_is_kept_after_the_memory_is_released()
    test_memory_held_before_the_trial_does_not_count()
