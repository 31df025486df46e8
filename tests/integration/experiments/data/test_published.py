"""The recorded digests, with altered data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from assay.experiments.data import DataSettings, prepare
from tests.helpers.small_sets import make_arrays


def test_an_altered_mnist_is_used_with_a_warning(tmp_path: Path, quick_split: Path) -> None:
    np.savez(tmp_path / "mnist.npz", **make_arrays())
    data = prepare(DataSettings(name="mnist"), tmp_path / "home", tmp_path)
    assert not data.verified
    [warning] = data.warnings
    assert "x_train, y_train, x_test, y_test differ from the published mnist" in warning
