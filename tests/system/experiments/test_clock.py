"""The system clock jumps by an hour in either direction during a sweep."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from mlflow import MlflowClient

from assay.experiments.maintenance.doctor import diagnose
from assay.experiments.workspace import StorePaths
from tests.helpers.command import ASSAY

_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime*.so.1"))
_WANTED = 12
# faketime 0.9.10 breaks Python's own sleep, which waits for a point in time of the monotonic clock;
# that clock is not faked.
_SLEEP = (
    "import select, time\n"
    "time.sleep = lambda seconds: select.select([], [], [], seconds) and None\n"
)

pytestmark = [
    pytest.mark.skipif(
        shutil.which("faketime") is None or not _LIBRARIES,
        reason="needs faketime (apt-get install faketime)",
    ),
]


def _faked(clock: Path) -> Mapping[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(clock.parent / "site"), *sys.path]),
        "LD_PRELOAD": str(_LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }


@pytest.mark.parametrize("jumps", [("+1h", "-1h")], ids=" then ".join)
def test_a_clock_change_does_not_affect_the_sweep(jumps: tuple[str, str], tmp_path: Path) -> None:
    clock, home = tmp_path / "clock", tmp_path / "home"
    clock.write_text("+0\n")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_SLEEP)
    limits = [
        "--timeout",
        "30m",
        "--trial-timeout",
        "20m",
        "--pruner",
        "none",
        "--workers",
        "2",
        "--epochs",
        "2",
    ]
    words = [
        "sweep",
        "digits-mlp",
        "--trials",
        str(_WANTED),
        *limits,
        "--seed",
        "1",
        "--home",
        str(home),
    ]
    journal = home / "journal" / "digits-mlp.jsonl"
    with (tmp_path / "said").open("w+") as said:
        sweep = subprocess.Popen([*ASSAY, *words], env=_faked(clock), stdout=said, stderr=said)
        for number, jump in enumerate(jumps, start=1):
            while sweep.poll() is None and _ended(journal) < number * _WANTED // 4:
                time.sleep(0.02)
            clock.write_text(f"{jump}\n")
        assert sweep.wait() == 0, (tmp_path / "said").read_text()
    times = [_time(line) for line in journal.read_text().splitlines()]
    assert max(abs(after - before) for before, after in itertools.pairwise(times)) > 3000, (
        "no clock was set"
    )
    store_paths = StorePaths.choose(home=home)
    found = diagnose(store_paths, fix=False)
    assert found.differences == []
    client = MlflowClient(store_paths.tracking_uri)
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    trials = [run for run in runs if "assay.trial" in run.data.tags]
    assert [run.data.tags["assay.state"] for run in trials] == ["complete"] * _WANTED
    for run in trials:
        history = client.get_metric_history(run.info.run_id, "val_accuracy")
        assert sorted(point.step for point in history) == [1, 2]


def _ended(journal: Path) -> int:
    return journal.read_text().count('"event":"trial_ended"') if journal.exists() else 0


def _time(line: str) -> float:
    return float(line.partition('"time":')[2].partition(",")[0].rstrip("}"))
