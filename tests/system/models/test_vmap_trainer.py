"""Vectorized trials equal trials trained alone. `test_processes` runs this on JAX."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

if keras.backend.backend() != "jax":
    pytest.skip("trials are trained together on JAX", allow_module_level=True)

from assay.models.backends import jax_vmap
from assay.models.data import load_training_data
from assay.models.recipe import test as measure
from assay.models.worker.trainer import Trainer
from assay.models.worker.vmap_trainer import VmapTrainer
from tests.helpers.prepared_data import assign

VARIED: list[dict[str, Any]] = [
    {"learning_rate": 0.003},
    {"learning_rate": 0.01},
    {"learning_rate": 0.03},
]
DECAYS: list[dict[str, Any]] = [{"weight_decay": 0.0}, {"weight_decay": 0.1}, {"weight_decay": 0.3}]
SCHEDULES: list[dict[str, Any]] = [
    {"schedule": "cosine", "warmup_epochs": 0.5},
    {"schedule": "step", "step_epochs": 0.4, "step_factor": 0.5},
    {"warmup_epochs": 1.0, "learning_rate": 0.02},
]
CASES: list[tuple[str, dict[str, Any], dict[str, Any], list[dict[str, Any]]]] = [
    ("linear", {}, {"optimizer": "sgd"}, VARIED),
    ("linear", {}, {"optimizer": "momentum", "nesterov": True, "clip_norm": 0.2}, VARIED),
    ("linear", {}, {"optimizer": "rmsprop", "batch_size": 50, "learning_rate": 0.05}, DECAYS),
    ("mlp", {"hidden_units": 16, "dropout": 0.3, "l2": 0.01}, {"optimizer": "adam"}, VARIED),
    ("mlp", {"hidden_units": 8}, {"optimizer": "adamw"}, [{}, *DECAYS[1:]]),
    ("mlp", {"hidden_units": 8}, {"optimizer": "sgd"}, DECAYS),
    (
        "mlp",
        {"hidden_units": [16, 8], "batch_norm": True, "dropout": 0.2},
        {"batch_size": 64},
        VARIED,
    ),
    ("mlp", {"hidden_units": 8, "l1": 0.001, "activation": "maxout"}, {"batch_size": 500}, VARIED),
    ("linear", {}, {"optimizer": "momentum", "learning_rate": 0.1}, SCHEDULES),
    (
        "linear",
        {},
        {"loss": "binary_cross_entropy", "label_smoothing": 0.1, "flip": True, "shift": 2},
        VARIED,
    ),
    ("cnn", {"filters": 2, "blocks": 1}, {"batch_size": 64}, VARIED[:2]),
]


def assigned(folder: Path, case: tuple[Any, ...], number: int, **more: Any) -> dict[str, Any]:
    family, model, train, varied = case
    train = {**train, **varied[number % len(varied)], **more}
    return {**assign(folder, family, seed=10 + number, model=model, train=train), "order_seed": 5}


def trained_alone(spec: Mapping[str, Any], epochs: int) -> list[dict[str, float]]:
    trainer = Trainer(threads=1)
    trainer.begin(spec)
    return [trainer.epoch()["metrics"] for _ in range(epochs)]


def calls(lanes: Any, method: str, **arguments: Any) -> list[dict[str, Any]]:
    return [{"lane": lane, "method": method, "arguments": arguments} for lane in lanes]


def begin(trainer: VmapTrainer, specs: list[dict[str, Any]]) -> list[Any]:
    return trainer.batch(
        [
            {"lane": lane, "method": "begin", "arguments": {"spec": spec}}
            for lane, spec in enumerate(specs)
        ]
    )


def epoch(trainer: VmapTrainer, lanes: Any) -> list[Any]:
    return [
        outcome if isinstance(outcome, Exception) else outcome["metrics"]
        for outcome in trainer.batch(calls(lanes, "epoch"))
    ]


@pytest.fixture
def fused() -> VmapTrainer:
    return VmapTrainer(threads=1, calibrate=False)


def assert_alike(one: list[dict[str, float]], other: list[dict[str, float]]) -> None:
    assert len(one) == len(other)
    for ours, theirs in zip(one, other, strict=True):
        assert ours == pytest.approx(theirs, rel=2e-4, abs=1e-5)


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case[0]}-{case[2].get('optimizer', 'adam')}"
)
def test_trials_trained_together_equal_trials_trained_alone(
    fused: VmapTrainer, folder: Path, tmp_path: Path, case: tuple[Any, ...]
) -> None:
    specs = [assigned(folder, case, number) for number in range(len(case[3]))]
    lanes = range(len(specs))
    begun = begin(fused, specs)
    curves = list(zip(*(epoch(fused, lanes) for _ in range(2)), strict=True))
    assert len({trial.batch for trial in fused._vectorized_trials.values()}) == 1
    for spec, curve, reply in zip(specs, curves, begun, strict=True):
        assert_alike(list(curve), trained_alone(spec, 2))
        assert reply == {"parameters": Trainer(1).begin(spec)["parameters"]}
    kept = tmp_path / "last.keras"
    (costs,) = fused.batch(calls(lanes[-1:], "finish", save_as=str(kept)))
    assert costs["train_seconds"] > 0
    assert costs["peak_memory_bytes"] > 1e6
    if not case[2].get("label_smoothing"):
        data = load_training_data(folder, "unit")
        tested = measure(
            keras.saving.load_model(kept), data.scale.apply(data.x_validation), data.y_validation
        )
        assert tested["loss"] == pytest.approx(curves[-1][-1]["val_loss"], rel=1e-4)


@pytest.mark.parametrize("sizes", [{4}, {4, 2, 1}], ids=["as large as ever", "compacted"])
def test_ended_trials_do_not_affect_the_others(
    fused: VmapTrainer, folder: Path, monkeypatch: pytest.MonkeyPatch, sizes: set[int]
) -> None:
    """The batch keeps the lanes of ended trials, or drops them."""
    smallest = -1 if len(sizes) == 1 else 1
    monkeypatch.setattr(jax_vmap.VmapPrograms, "_cost", lambda self, size, left: size * smallest)
    specs = [assigned(folder, CASES[3], number, epochs=4) for number in range(4)]
    begin(fused, specs)
    curves: list[list[Any]] = [[] for _ in specs]
    for number, lanes in enumerate(([0, 1, 2, 3], [1, 3], [1, 3], [3])):
        if number == 1:
            fused.batch([*calls([0], "finish", save_as=None), *calls([2], "drop")])
        for lane, metrics in zip(lanes, epoch(fused, lanes), strict=True):
            curves[lane].append(metrics)
    assert fused._vectorized_trials[3].programs._programs.keys() == sizes
    for spec, curve in zip(specs, curves, strict=True):
        assert_alike(curve, trained_alone(spec, len(curve)))


@pytest.mark.parametrize("case", [CASES[3], CASES[4], CASES[10]], ids=["adam", "adamw", "cnn"])
def test_a_trial_of_a_batch_is_repeated_alone_to_the_last_bit(
    fused: VmapTrainer, folder: Path, monkeypatch: pytest.MonkeyPatch, case: tuple[Any, ...]
) -> None:
    monkeypatch.setattr(jax_vmap.VmapPrograms, "_cost", lambda self, size, left: size)
    specs = [assigned(folder, case, number, epochs=3) for number in range(4)]
    begin(fused, specs)
    replies: list[dict[str, Any]] = []
    for ended, lanes in (([], [0, 1, 2, 3]), ([0, 2], [1, 3]), ([1], [3])):
        if ended:
            fused.batch(calls(ended, "drop"))
        replies.append(dict(fused.batch(calls(lanes, "epoch"))[-1]))
    sizes = [reply["lanes"] for reply in replies]
    assert sizes == [4, 2, 1]
    recorded = [reply["metrics"] for reply in replies]
    begin(again := VmapTrainer(threads=1, calibrate=False), [{**specs[3], "lanes": sizes}])
    repeated = [again.batch(calls([0], "epoch"))[0] for _ in sizes]
    assert [reply["lanes"] for reply in repeated] == sizes
    assert [reply["metrics"] for reply in repeated] == recorded
    assert_alike(trained_alone(specs[3], 3), recorded)


def test_trials_that_cannot_be_fused_train_beside_batches(fused: VmapTrainer, folder: Path) -> None:
    specs = [
        assigned(folder, CASES[0], 0),
        assigned(folder, CASES[0], 1, early_stopping=1),
        assigned(folder, CASES[5], 1),
        assigned(folder, CASES[0], 2),
    ]
    begin(fused, specs)
    assert {lane: trial.batch for lane, trial in fused._vectorized_trials.items()}.keys() == {
        0,
        2,
        3,
    }
    for spec, metrics in zip(specs, epoch(fused, range(4)), strict=True):
        assert_alike([metrics], trained_alone(spec, 1))


def test_a_loss_that_is_not_finite_does_not_affect_the_others(
    fused: VmapTrainer, folder: Path
) -> None:
    specs = [assigned(folder, CASES[0], number) for number in range(3)]
    specs[1]["train"]["learning_rate"] = 1e38
    begin(fused, specs)
    curves = list(zip(*(epoch(fused, range(3)) for _ in range(2)), strict=True))
    assert not math.isfinite(curves[1][-1]["loss"])
    for number in (0, 2):
        assert_alike(list(curves[number]), trained_alone(specs[number], 2))


def test_an_invalid_request_does_not_affect_the_others(fused: VmapTrainer, folder: Path) -> None:
    specs = [assigned(folder, CASES[0], number) for number in range(2)]
    specs[0]["train"]["epochs"] = 0
    wrong, right = begin(fused, specs)
    assert "epochs" in str(wrong)
    assert right["parameters"] > 0
    fused.batch(calls([0], "drop"))
    assert_alike(epoch(fused, [1]), trained_alone(specs[1], 1))


def test_the_trials_of_a_failed_batch_are_trained_one_at_a_time(
    fused: VmapTrainer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [assigned(folder, CASES[3], number) for number in range(3)]
    begin(fused, specs)
    curves = [[metrics] for metrics in epoch(fused, range(3))]
    train_epoch = jax_vmap.VmapPrograms.train_epoch

    def short_of_memory(self: Any, states: Any, inputs: Any, rates: Any, decays: Any) -> Any:
        if len(rates) > 1 or np.asarray(states.optimizer[1])[0] == np.float32(0.01):
            raise MemoryError("out of memory")
        return train_epoch(self, states, inputs, rates, decays)

    monkeypatch.setattr(jax_vmap.VmapPrograms, "train_epoch", short_of_memory)
    outcomes = epoch(fused, range(3))
    assert isinstance(outcomes[1], MemoryError)
    for number in (0, 2):
        assert_alike([*curves[number], outcomes[number]], trained_alone(specs[number], 2))


@pytest.mark.parametrize("what", ["is_faster_together", "begins"])
def test_trials_are_trained_alone_if_their_batch_cannot_be_formed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def short_of_memory(*arguments: Any) -> Any:
        raise MemoryError("out of memory")

    trainer = VmapTrainer(threads=1, calibrate=what == "is_faster_together")
    if what == "is_faster_together":
        monkeypatch.setattr(jax_vmap.VmapPrograms, "is_faster_together", short_of_memory)
    else:
        stack = jax_vmap.stack_states
        monkeypatch.setattr(
            jax_vmap,
            "stack_states",
            lambda states: stack(states) if len(states) == 1 else short_of_memory(states),
        )
    specs = [assigned(folder, CASES[3], number) for number in range(3)]
    begin(trainer, specs)
    for spec, metrics in zip(specs, epoch(trainer, range(3)), strict=True):
        assert_alike([metrics], trained_alone(spec, 1))


def test_more_epochs_than_assigned_are_refused(fused: VmapTrainer, folder: Path) -> None:
    begin(fused, [assigned(folder, CASES[0], number) for number in range(2)])
    for _ in range(2):
        epoch(fused, range(2))
    assert all("trained all of its 2 epochs" in str(outcome) for outcome in epoch(fused, range(2)))


@pytest.mark.parametrize("together", [True, False])
def test_the_choice_of_the_calibration_does_not_change_the_numbers(
    folder: Path, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    tried: list[int] = []

    def seconds(self: Any, size: int) -> float:
        tried.append(size)
        return 1.0 if together or size == 1 else 5.0

    monkeypatch.setattr(jax_vmap.VmapPrograms, "_measure_seconds", seconds)
    trainer = VmapTrainer(threads=1)
    specs = [assigned(folder, CASES[3], number) for number in range(3)]
    for _ in range(2):
        begin(trainer, specs)
        curves = epoch(trainer, range(3))
        assert len({trial.batch for trial in trainer._vectorized_trials.values()}) == (
            1 if together else 3
        )
        trainer.batch(calls(range(3), "drop"))
    assert tried == [3, 1], "it is tried once"
    for spec, metrics in zip(specs, curves, strict=True):
        assert_alike([metrics], trained_alone(spec, 1))


def test_calibration_trains_nothing(folder: Path) -> None:
    trainer = VmapTrainer(threads=1)
    specs = [assigned(folder, CASES[9], number) for number in range(2)]
    begin(trainer, specs)
    for spec, metrics in zip(specs, epoch(trainer, range(2)), strict=True):
        assert_alike([metrics], trained_alone(spec, 1))
