"""Sweeps with vectorized trials."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from assay.search.events import EpochEnded, StudyOpened, TrialEnded
from assay.search.journal import read_events
from tests.helpers.command import Done, assay
from tests.helpers.runs import runs, trial_runs

ONE_SIGNATURE = ("hidden_units=8", "activation=relu", "batch_size=64")


def fused_sweep(home: Path, fuse: str, *more: str) -> Done:
    fixed = [word for value in ONE_SIGNATURE for word in ("--set", value)]
    limits = (
        "--trials",
        "8",
        "--epochs",
        "4",
        "--workers",
        "1",
        "--sampler",
        "random",
        "--pruner",
        "asha",
    )
    own = ("--backend", "jax", "--fuse", fuse, "--home", str(home), "--seed", "3", "--json")
    return assay("sweep", "digits-mlp", *limits, *fixed, *own, *more)


def curves(home: Path) -> dict[int, list[dict[str, float]]]:
    events = [
        event
        for event, _ in read_events(home / "journal" / "digits-mlp.jsonl")
        if isinstance(event, EpochEnded)
    ]
    return {
        number: [dict(event.metrics) for event in events if event.trial == number]
        for number in sorted({event.trial for event in events})
    }


@pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="the JAX backend is not installed"
)
def test_each_trial_equals_the_same_trial_trained_alone(tmp_path: Path) -> None:
    together, alone = tmp_path / "together", tmp_path / "alone"
    done = fused_sweep(together, "4")
    assert done.code == 0, done.err
    assert "each worker trains up to 4 trials together" in done.err
    trials = done.answer["trials"]
    assert trials["complete"] + trials["pruned"] == 8
    assert trials["pruned"] > 0, "this is also about trials that end before those beside them"
    by_number = trial_runs(together)
    assert sorted(by_number) == list(range(8))
    for number, curve in curves(together).items():
        run = by_number[number]
        assert run.info.status == "FINISHED"
        assert run.data.metrics["val_accuracy"] == pytest.approx(curve[-1]["val_accuracy"])
        assert run.data.metrics["epoch_seconds"] > 0
        assert run.data.metrics["parameters"] == 64 * 8 + 8 + 8 * 10 + 10
    (parent,) = [run for run in runs(together) if "assay.trial" not in run.data.tags]
    assert (parent.data.tags["assay.fuse"], parent.data.tags["assay.order_seed"]) == ("4", "3")

    assert fused_sweep(alone, "1").code == 0
    own = curves(alone)
    for number, curve in curves(together).items():
        for epoch, (ours, theirs) in enumerate(zip(curve, own[number], strict=False)):
            assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-5), (number, epoch)

    other = fused_sweep(together, "2", "--trials", "9")
    assert other.code == 2
    assert re.search("was made with fuse = 4, this asks for 2", other.err)
    again = fused_sweep(together, "auto", "--trials", "9", "--seed", "4")
    assert again.code == 0, again.err
    events = [event for event, _ in read_events(together / "journal" / "digits-mlp.jsonl")]
    opened = [event for event in events if isinstance(event, StudyOpened)]
    assert [event.provenance["assay.fuse"] for event in opened] == ["4", "4"]
    assert [event.provenance["assay.order_seed"] for event in opened] == ["3", "3"]
    assert len([event for event in events if isinstance(event, TrialEnded)]) == 9
