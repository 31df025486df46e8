"""Sweeps whose trials train together, as a user sees them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from assay.experiments.config.catalog import load
from assay.experiments.config.experiment import Experiment
from assay.experiments.config.request import ExecutionRequest, parse_fuse
from assay.experiments.run.execution import Execution
from assay.experiments.run.trial_batching import TrialBatching, check_fuse, choose
from assay.models.errors import RequestError
from assay.search.events import EpochEnded, StudyOpened, TrialEnded
from assay.search.journal import read
from tests.helpers.command import Done, assay
from tests.helpers.runs import runs, trial_runs

ONE_SIGNATURE = ("hidden_units=8", "activation=relu", "batch_size=64")


@pytest.fixture
def experiment() -> Experiment:
    fixed = {"hidden_units": 8, "activation": "relu", "batch_size": 64}
    return load("digits-mlp").fixing(fixed).searching(sampler="random", trials=100)


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
        for event, _ in read(home / "journal" / "digits-mlp.jsonl")
        if isinstance(event, EpochEnded)
    ]
    return {
        number: [dict(event.metrics) for event in events if event.trial == number]
        for number in sorted({event.trial for event in events})
    }
@pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="the JAX backend is not installed"
)
def test_each_trial_is_what_it_is_one_at_a_time(tmp_path: Path) -> None:
    together, alone = tmp_path / "together", tmp_path / "alone"
    done = fused_sweep(together, "4")
    assert done.code == 0, done.err
    assert "up to 4 trials a worker train together" in done.err
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
    events = [event for event, _ in read(together / "journal" / "digits-mlp.jsonl")]
    opened = [event for event in events if isinstance(event, StudyOpened)]
    assert [event.provenance["assay.fuse"] for event in opened] == ["4", "4"]
    assert [event.provenance["assay.order_seed"] for event in opened] == ["3", "3"]
    assert len([event for event in events if isinstance(event, TrialEnded)]) == 9


@pytest.mark.parametrize(
    ("given", "meant"), [(None, "auto"), ("auto", "auto"), ("off", 0), ("1", 1), (8, 8)]
)
def test_what_can_be_asked_for(given: object, meant: object) -> None:
    assert parse_fuse(given) == meant


@pytest.mark.parametrize("wrong", ["0", 0, -1, 1.5, True, "some", ""])
def test_what_cannot(wrong: object) -> None:
    with pytest.raises(RequestError, match="fuse must be auto, off, or how many"):
        parse_fuse(wrong)


def test_where_nothing_is_said_trials_train_together_if_they_are_likely_to_suit(
    experiment: Experiment,
) -> None:
    def automatic(experiment: Experiment, workers: int = 1, device: str = "cpu") -> int:
        batching = choose("auto", None, experiment, device, workers, 0)
        return 0 if batching is None else batching.size

    assert automatic(experiment) == 8
    assert automatic(experiment, device="gpu") == 100
    assert automatic(experiment.searching(trials=6), workers=2) == 3
    assert automatic(experiment.searching(sampler="tpe"), workers=5) == 5
    assert automatic(load("digits-mlp").searching(sampler="random", trials=100)) == 0, (
        "widths differ"
    )


@pytest.mark.parametrize(
    ("changes", "precision", "words"),
    [
        (
            {"objectives": ["maximize val_accuracy", "minimize train_seconds"]},
            "float32",
            "train_seconds can be no obj",
        ),
        (
            {},
            "mixed_float16",
            "with mixed_float16 trials train one at a time; received fuse = 4: leave it out",
        ),
        ({"early_stopping": 2}, "float32", "with early stopping trials train one at a time"),
    ],
    ids=str,
)
def test_what_can_not_be_fused_is_refused_by_number_and_left_alone_by_itself(
    experiment: Experiment, changes: dict[str, Any], precision: str, words: str
) -> None:
    fixed = {name: value for name, value in changes.items() if name == "early_stopping"}
    searched = {name: value for name, value in changes.items() if name not in fixed}
    changed = experiment.fixing(fixed).searching(**searched)
    with pytest.raises(RequestError, match=words):
        check_fuse(4, changed, precision)
    check_fuse("auto", changed, precision)
    assert choose("auto", None, changed, "cpu", 1, 0, precision) is None


def test_trials_with_checkpoints_train_one_at_a_time(experiment: Experiment) -> None:
    with pytest.raises(
        RequestError,
        match="with checkpoints trials train one at a time; received fuse = 4: leave it",
    ):
        check_fuse(4, experiment, "float32", checkpoint=True)
    assert choose("auto", None, experiment, "cpu", 1, 0, checkpoint=True) is None
    made = {"fuse": 4, "order_seed": 7}  # the order of batches is the study's all the same
    assert choose("auto", made, experiment, "cpu", 1, 0, checkpoint=True) == TrialBatching(4, 7)


def test_a_study_keeps_what_it_was_made_with(experiment: Experiment) -> None:
    made = {"fuse": 4, "order_seed": 7}
    assert choose("auto", made, experiment, "cpu", 2, seed=9) == TrialBatching(4, 7)
    assert choose("auto", {"backend": "jax"}, experiment, "cpu", 2, seed=9) is None
    assert choose(2, made, experiment, "cpu", 2, seed=9) == TrialBatching(2, 7)
    assert choose(0, made, experiment, "cpu", 2, seed=9) is None


def test_by_default_nothing_is_fused_on_tensorflow() -> None:
    assert Execution.choose(ExecutionRequest(backend="tensorflow"), fuse="auto").fuse == 0
