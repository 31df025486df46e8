"""The recorded digests, with the real data sets."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from assay.experiments.data import PUBLISHED_SETS, DataSettings, prepare

IDX_MD5 = {
    "x_train": "6bbc9ace898e44ae57da46a324031adb",
    "y_train": "a25bea736e30d166cdddb491f175f624",
    "x_test": "2646ac647ad5339dbf082846283269ea",
    "y_test": "27ae3e4e09519cfbb04c329615203637",
}
"""Digests of the four unpacked files of the published MNIST."""


@pytest.mark.real_data
def test_the_recorded_digests_of_mnist_are_those_of_the_published_files(real_data: Path) -> None:
    if not (real_data / "mnist.npz").exists():
        pytest.skip("ASSAY_DATA_DIR holds no mnist.npz")
    arrays = np.load(real_data / "mnist.npz", allow_pickle=False)
    for name, published in IDX_MD5.items():
        array = arrays[name]
        assert hashlib.sha256(array.tobytes()).hexdigest() == PUBLISHED_SETS["mnist"].digests[name]
        header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        assert hashlib.md5(header + array.tobytes()).hexdigest() == published


@pytest.mark.real_data
def test_an_altered_cifar10_is_reported_with_the_altered_arrays(
    real_data: Path, tmp_path: Path
) -> None:
    path = real_data / "cifar10.npz"
    if not path.exists():
        pytest.skip("ASSAY_DATA_DIR holds no cifar10.npz")
    x_test = np.load(path, allow_pickle=False)["x_test"]
    if hashlib.sha256(x_test.tobytes()).hexdigest() not in PUBLISHED_SETS["cifar10"].altered_copies:
        pytest.skip("this is not the altered copy")
    data = prepare(DataSettings(name="cifar10"), tmp_path, real_data)
    assert not data.verified
    assert data.unverified_reason is not None
    assert "JPEG" in data.unverified_reason
    assert "x_train" not in data.unverified_reason
