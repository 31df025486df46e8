"""Data sets without a recorded digest, and digests of altered data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.experiments.data import DataSettings
from assay.experiments.data.build import ensure_prepared
from assay.experiments.data.prepared_folder import read_prepared_meta
from tests.helpers.small_sets import Arrays


def test_fashion_mnist_reports_that_no_digest_is_recorded(tmp_path: Path, arrays: Arrays) -> None:
    np.savez(tmp_path / "fashion-mnist.npz", **arrays)
    meta = read_prepared_meta(
        ensure_prepared(DataSettings(name="fashion-mnist"), tmp_path / "home", tmp_path, tmp_path)
    )
    assert meta is not None
    assert meta.unverified_reason is not None
    assert "on record" in meta.unverified_reason


@pytest.mark.parametrize("name", ["x_train", "y_train", "x_test", "y_test"])
def test_one_changed_number_changes_the_digest(name: str, tmp_path: Path, arrays: Arrays) -> None:
    digests = []
    for step in (0, 1):
        arrays[name] = arrays[name].copy()
        arrays[name].flat[0] = (arrays[name].flat[0] + step) % 3
        np.savez(tmp_path / f"{step}.npz", **arrays)
        meta = read_prepared_meta(
            ensure_prepared(
                DataSettings(name=f"npz:{step}.npz"), tmp_path / "home", tmp_path, tmp_path
            )
        )
        assert meta is not None
        digests.append(meta.digest)
    assert digests[0] != digests[1]
