"""Benchmarks of vectorized trials run at a small size. No test asserts a time."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.processes import ROOT

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("jax") is None, reason="the JAX backend is not installed"
    ),
]


def bench(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *arguments],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "JAX_PLATFORMS": "cpu",
            "ASSAY_DATA_DIR": str(data),
        },
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(("measure", "units"), [("fused", ["x", "x"]), ("gpu", ["s", "s", "x"])])
def test_a_measure_gives_its_rows(
    images: Path, tmp_path: Path, measure: str, units: list[str]
) -> None:
    out = tmp_path / "bench.json"
    done = bench(images.parent, measure, "--quick", "--repeats", "1", "--out", str(out))
    assert done.returncode == 0, done.stderr
    kept = json.loads(out.read_text())
    assert kept["quick"]
    assert [row["unit"] for row in kept["rows"]] == units
    assert all(row["value"] > 0 for row in kept["rows"])


def test_without_a_gpu_none_is_measured(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    done = bench(images.parent, "gpu", "--out", str(out))
    assert done.returncode == 1
    assert "no figure: it needs a card that JAX computes on and found cpu" in done.stderr
    assert json.loads(out.read_text())["rows"] == []
