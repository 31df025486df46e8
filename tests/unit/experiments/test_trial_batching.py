"""Batches of trials that train together."""

from __future__ import annotations

from typing import Any

import pytest

from assay.experiments.config.catalog import resolve_experiment
from assay.experiments.config.experiment import Experiment
from assay.experiments.config.request import (
    ExecutionRequest,
    FuseOption,
    SweepRequest,
    parse_fuse,
)
from assay.experiments.run.execution import Execution
from assay.experiments.run.trial_batching import (
    TrialBatching,
    check_fuse_option,
    choose_batching,
)
from assay.models.errors import RequestError


@pytest.fixture
def experiment() -> Experiment:
    fixed = {"hidden_units": 8, "activation": "relu", "batch_size": 64}
    return (
        resolve_experiment("digits-mlp").with_fixed(fixed).with_search(sampler="random", trials=100)
    )


def choose(
    fuse: FuseOption,
    made: dict[str, Any] | None,
    experiment: Experiment,
    device: str,
    workers: int,
    seed: int = 0,
    precision: str = "float32",
    checkpoint: bool = False,
) -> TrialBatching | None:
    execution = Execution(
        "jax",
        device,
        workers,
        threads=1,
        precision=precision,
        gpus=("0",) if device == "gpu" else (),
        fuse=fuse,
    )
    request = SweepRequest(seed=seed, checkpoint=checkpoint)
    return choose_batching(execution, experiment, request, made)


@pytest.mark.parametrize(("given", "meant"), [("auto", "auto"), ("off", 0), ("1", 1), (8, 8)])
def test_valid_fuse_options(given: object, meant: object) -> None:
    assert parse_fuse(given) == meant


@pytest.mark.parametrize("wrong", ["0", 0, -1, 1.5, True, "some", ""])
def test_invalid_fuse_options(wrong: object) -> None:
    with pytest.raises(RequestError, match="fuse must be auto, off, or the number of trials"):
        parse_fuse(wrong)


def test_by_default_trials_are_fused_if_they_are_likely_to_fit(
    experiment: Experiment,
) -> None:
    def automatic(experiment: Experiment, workers: int = 1, device: str = "cpu") -> int:
        batching = choose("auto", None, experiment, device, workers, 0)
        return 0 if batching is None else batching.size

    assert automatic(experiment) == 8
    assert automatic(experiment, device="gpu") == 100
    assert automatic(experiment.with_search(trials=6), workers=2) == 3
    assert automatic(experiment.with_search(sampler="tpe"), workers=5) == 5
    assert (
        automatic(resolve_experiment("digits-mlp").with_search(sampler="random", trials=100)) == 0
    ), "widths differ"


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
def test_trials_that_cannot_be_fused_are_refused_only_with_an_explicit_number(
    experiment: Experiment, changes: dict[str, Any], precision: str, words: str
) -> None:
    fixed = {name: value for name, value in changes.items() if name == "early_stopping"}
    searched = {name: value for name, value in changes.items() if name not in fixed}
    changed = experiment.with_fixed(fixed).with_search(**searched)
    with pytest.raises(RequestError, match=words):
        check_fuse_option(4, changed, precision, checkpoint=False)
    check_fuse_option("auto", changed, precision, checkpoint=False)
    assert choose("auto", None, changed, "cpu", 1, 0, precision) is None


def test_trials_with_checkpoints_train_one_at_a_time(experiment: Experiment) -> None:
    with pytest.raises(
        RequestError,
        match="with checkpoints trials train one at a time; received fuse = 4: leave it",
    ):
        check_fuse_option(4, experiment, "float32", checkpoint=True)
    assert choose("auto", None, experiment, "cpu", 1, 0, checkpoint=True) is None
    made = {"fuse": 4, "order_seed": 7}  # the order of the batches still belongs to the study
    assert choose("auto", made, experiment, "cpu", 1, 0, checkpoint=True) == TrialBatching(4, 7)


def test_a_study_keeps_its_batching(experiment: Experiment) -> None:
    made = {"fuse": 4, "order_seed": 7}
    assert choose("auto", made, experiment, "cpu", 2, seed=9) == TrialBatching(4, 7)
    assert choose("auto", {"backend": "jax"}, experiment, "cpu", 2, seed=9) is None
    assert choose(2, made, experiment, "cpu", 2, seed=9) == TrialBatching(2, 7)
    assert choose(0, made, experiment, "cpu", 2, seed=9) is None


def test_by_default_nothing_is_fused_on_tensorflow() -> None:
    assert Execution.choose(ExecutionRequest(backend="tensorflow"), fuse="auto").fuse == 0
