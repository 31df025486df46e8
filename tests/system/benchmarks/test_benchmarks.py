"""The benchmark: rows, configurations and sides. No test asserts a time."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from assay.models.architectures.mlp import MLPSettings
from assay.models.architectures.registry import FAMILIES
from assay.models.worker.trial_spec import TrialSpec, compile_key
from tests.benchmarks import sides
from tests.benchmarks.configurations import (
    BATCH_SIZES,
    EPOCHS,
    HIDDEN_UNITS,
    SIGNATURES,
    configurations,
)
from tests.benchmarks.flop import training_flop
from tests.benchmarks.peers import common
from tests.benchmarks.prepared import prepared, spec
from tests.benchmarks.processes import ROOT, MeasureError
from tests.benchmarks.rounds import alternate
from tests.benchmarks.row import Row
from tests.benchmarks.sides import Answer, Run, Side, Work, measure
from tests.benchmarks.sweeps import compare
from tests.benchmarks.tables import markdown
from tests.helpers.waiting import GUARD_SECONDS

ROW = Row("whole sweep, against | a script", 4.0, "x", 3.5, 4.5, "more", note="38 s against 155 s")


@pytest.mark.parametrize(
    ("value", "goal", "stretch", "better", "verdict"),
    [
        (4.5, 3.5, 4.5, "more", "stretch"),
        (4.4, 3.5, 4.5, "more", "goal"),
        (3.4, 3.5, 4.5, "more", "missed"),
        (0.3, 0.5, 0.3, "less", "stretch"),
        (0.5, 0.5, 0.3, "less", "goal"),
        (0.6, 0.5, 0.3, "less", "missed"),
        (1.0, 1.0, None, "more", "goal"),
        (1.0, None, None, "more", ""),
    ],
)
def test_a_row_states_its_verdict(
    value: float, goal: float | None, stretch: float | None, better: str, verdict: str
) -> None:
    row = Row("m", value, "x", goal, stretch, better)  # type: ignore[arg-type]
    assert row.verdict == verdict
    assert replace(row, flaw="another network").verdict == "missed: another network"


def test_the_arithmetic_equals_a_count_by_hand() -> None:
    # 3 inputs, 2 hidden units, 1 output: 2 x (3 x 2 + 2 x 1) forward, the same for the weights, and
    # 2 x 2 x 1 for the inputs of the second layer.
    assert training_flop((3, 2, 1), images=1) == 16 + 16 + 4
    total = sum(
        EPOCHS * training_flop((784, one["hidden_units"], 10), 50_000) for one in configurations()
    )
    assert total == pytest.approx(1.9e12, rel=0.02)


def test_the_configurations_have_every_pair_twice_and_no_duplicate() -> None:
    listed = configurations()
    assigned = [TrialSpec.read(spec(one, Path("mnist"), EPOCHS), "a trial") for one in listed]
    kinds = {compile_key(one, decay_is_compiled=False, batch_is_compiled=False) for one in assigned}
    assert len(kinds) == SIGNATURES
    pairs = [(one["hidden_units"], one["batch_size"]) for one in listed]
    assert sorted(pairs) == sorted([*product(HIDDEN_UNITS, BATCH_SIZES)] * 2)
    assert len(
        {(*pair, one["activation"]) for pair, one in zip(pairs, listed, strict=True)}
    ) == len(listed)
    assert len({(one["activation"], one["learning_rate"]) for one in listed}) == 6
    assert [one for one in listed if one in configurations(quick=True)] == configurations(
        quick=True
    )


def test_each_round_has_every_side_and_starts_with_another() -> None:
    order = list(alternate("abc", 3))
    assert [side for _, side in order] == list("abcbcacab")
    assert [number for number, _ in order] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def _runs(seconds: list[float], best: float) -> list[Run]:
    return [Run(each, best, each / 2) for each in seconds]


@pytest.mark.parametrize(
    ("peer_best", "verdict"), [(0.978, "goal"), (0.9771, "missed: best accuracies 0.39 points")]
)
def test_a_peer_with_another_accuracy_misses_the_goal(peer_best: float, verdict: str) -> None:
    runs = {
        sides.ASSAY_SIDE.name: _runs([9, 10, 30], 0.981),
        "peer": _runs([50, 40, 30], peer_best),
    }
    row = compare("whole sweep", "seconds", runs, "peer", 3.5, 4.5)
    assert row.value == 4.0
    assert row.verdict.startswith(verdict)
    assert (
        compare("search alone", "search_seconds", runs, "peer", 3.5, 4.5).detail["peer"][1][
            "search_seconds"
        ]
        == 20
    )


def test_the_readme_has_the_rows_as_a_table() -> None:
    assert markdown([ROW, Row("m", 0.312, "s", None, None, "less")], "2 cores").splitlines() == [
        "2 cores",
        "",
        "| measure | figure | goal | stretch | reached |",
        "| --- | --- | --- | --- | --- |",
        "| whole sweep, against \\| a script | 4x (38 s against 155 s) | 3.5x | 4.5x | goal |",
        "| m | 0.312 s |  |  |  |",
    ]


def _bench(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.benchmarks", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=GUARD_SECONDS
    )


def test_a_missing_mnist_is_reported_in_one_line(tmp_path: Path) -> None:
    done = _bench(ASSAY_DATA_DIR=str(tmp_path))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert str(tmp_path / "mnist.npz") in done.stderr


def test_an_unknown_measure_is_refused() -> None:
    done = _bench("sweep")
    assert done.returncode == 2
    assert "received sweep" in done.stderr


def test_an_earlier_run_is_shown_again(tmp_path: Path) -> None:
    record = {
        "machine": "2 cores",
        "versions": {"keras": "3"},
        "quick": True,
        "rows": [{**vars(ROW), "batch": "sweeps"}],
    }
    (tmp_path / "bench.json").write_text(json.dumps(record))
    done = _bench("--show", str(tmp_path / "bench.json"), "--markdown")
    assert done.returncode == 0, done.stderr
    assert "no figures to quote; 2 cores; keras 3" in done.stdout
    assert "| 4x (38 s against 155 s) | 3.5x | 4.5x | goal |" in done.stdout


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("print('far too short')", "completed 1 of 2 trials"),
        ("raise SystemExit('no room')", "ended with 1: no room"),
    ],
)
def test_a_side_that_did_not_complete_its_work_is_an_error(script: str, complaint: str) -> None:
    side = Side(
        "stub",
        lambda work, folder: [sys.executable, "-c", script],
        lambda out, folder: Answer(0.9, 1.0, 1),
    )
    with pytest.raises(MeasureError, match=complaint):
        measure(side, Work(Path("mnist.npz"), configurations()[:2]))


def test_peers_train_and_validate_on_the_same_data(images: Path, tmp_path: Path) -> None:
    folder = prepared(images, tmp_path / "home")
    for (x, y), split in zip(common.load(images), ("train", "validation"), strict=True):
        stored = np.load(folder / f"x_{split}.npy")
        np.testing.assert_array_equal(y, np.load(folder / f"y_{split}.npy"))
        np.testing.assert_array_equal(np.round(x * 255), stored.reshape(x.shape))
    assert len(y) == common.VALIDATION_IMAGES


def test_peers_train_the_same_network() -> None:
    theirs = common.network(hidden_units=32, activation="tanh", learning_rate=3e-3)
    ours = FAMILIES["mlp"].describe(
        MLPSettings(hidden_units=32, activation="tanh"), (28, 28, 1), 10
    )
    assert [weight.shape for weight in theirs.weights] == [weight.shape for weight in ours.weights]


@pytest.mark.parametrize(
    ("side", "needs"),
    [
        (sides.ASSAY_SIDE, "keras"),
        (sides.BY_HAND, "mlflow"),
        (sides.KERAS_TUNER, "keras_tuner"),
        (sides.RAY_TUNE, "ray"),
    ],
    ids=lambda given: given.name if isinstance(given, Side) else given,
)
def test_every_side_does_the_same_work(side: Side, needs: str, images: Path) -> None:
    pytest.importorskip(needs, reason="comes with the extra 'bench'")
    run = measure(side, Work(images, configurations()[:2], epochs=5))
    assert 0 < run.search_seconds < run.seconds
    assert run.best > 0.2  # better than chance with ten classes


@pytest.mark.parametrize("name", ["single", "arithmetic"])
def test_measures_in_workers_give_rows(
    name: str, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_DATA_DIR", str(images.parent))
    (row,) = importlib.import_module(f"tests.benchmarks.{name}").rows(quick=True, repeats=1)
    assert row.value > 0
