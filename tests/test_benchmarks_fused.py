"""What measures trials trained together runs, at a small size; how fast is no test's to say."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="the JAX backend is not installed"),
]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *arguments],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(("measure", "units"), [("fused", ["x"]), ("gpu", ["s", "s", "x"])])
def test_a_measure_gives_its_rows(tmp_path: Path, measure: str, units: list[str]) -> None:
    out = tmp_path / "bench.json"
    done = bench(measure, "--quick", "--out", str(out))
    assert done.returncode == 0, done.stderr
    kept = json.loads(out.read_text())
    assert kept["quick"]
    assert [row["unit"] for row in kept["rows"]] == units
    assert all(row["value"] > 0 for row in kept["rows"])


def test_without_a_card_nothing_is_measured_of_one(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    done = bench("gpu", "--out", str(out))
    assert done.returncode != 0
    assert "bench-gpu needs a card that JAX computes on; it found cpu" in done.stderr
    assert not out.exists()
