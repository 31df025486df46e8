"""Code compiled for one trial is reused by later trials with the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from assay.models.recipe import Recipe
from assay.models.worker import cache
from assay.models.worker.trainer import Trainer
from tests.helpers.prepared_data import assign, write_folder

CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "adam, dropout": (
        "mlp",
        {"hidden_units": 8, "dropout": 0.3, "l2": 0.01},
        {"optimizer": "adam"},
    ),
    "momentum, batch norm": (
        "mlp",
        {"hidden_units": 8, "batch_norm": True},
        {"optimizer": "momentum"},
    ),
    "rmsprop, augmentation": ("linear", {}, {"optimizer": "rmsprop", "flip": True, "shift": 1}),
    "adamw, schedule": (
        "linear",
        {},
        {"optimizer": "adamw", "schedule": "cosine", "warmup_epochs": 0.5},
    ),
    "sgd, early stopping": ("linear", {}, {"optimizer": "sgd", "early_stopping": 1, "epochs": 4}),
    "convolutions": ("cnn", {"filters": 2, "blocks": 1}, {"optimizer": "adam"}),
}


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """Return a list to which each compiled recipe is added."""
    compiled: list[Recipe] = []
    compile_epoch = Recipe.compile_epoch

    def compile_and_note(recipe: Recipe, *arguments: Any) -> Any:
        compiled.append(recipe)
        return compile_epoch(recipe, *arguments)

    monkeypatch.setattr(Recipe, "compile_epoch", compile_and_note)
    return compiled


def train(
    trainer: Trainer, spec: dict[str, Any], save_as: Path | None = None
) -> list[dict[str, float]]:
    trainer.begin(spec)
    epochs = []
    while len(epochs) < spec["train"]["epochs"]:
        reply = trainer.epoch()
        epochs.append(reply["metrics"])
        if reply.get("stopped"):
            break
    trainer.finish(None if save_as is None else str(save_as))
    return epochs


@pytest.mark.parametrize("case", CASES)
def test_a_later_trial_of_the_same_key_trains_as_in_a_new_worker(
    case: str, folder: Path, threads: int, tmp_path: Path, compiled: list[Recipe]
) -> None:
    family, model, settings = CASES[case]
    first, later = (
        assign(
            folder,
            family,
            seed=seed,
            model=model,
            train={**settings, "learning_rate": rate, "batch_size": batch},
        )
        for seed, rate, batch in ((3, 0.05, 32), (4, 0.002, 50))
    )
    alone = train(Trainer(threads), later, tmp_path / "alone.keras")
    trainer = Trainer(threads)
    before = train(trainer, first)
    assert train(trainer, later, tmp_path / "later.keras") == alone
    assert train(trainer, first) == before
    any_batch = keras.backend.backend() == "tensorflow"
    assert len(compiled) == (2 if any_batch else 3), (
        "one in each worker, and one a batch size where it is compiled"
    )
    files = [keras.saving.load_model(tmp_path / f"{name}.keras") for name in ("alone", "later")]
    for ours, theirs in zip(*(file.get_weights() for file in files), strict=True):
        assert np.array_equal(ours, theirs)
    assert float(files[0].optimizer.learning_rate) == float(files[1].optimizer.learning_rate)


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"hidden_units": 9}},
        {"model": {"hidden_units": 8, "activation": "tanh"}},
        {"train": {"optimizer": "sgd"}},
        {"train": {"weight_decay": 0.1}},
        {"scale": "standard"},
    ],
    ids=str,
)
def test_another_key_is_compiled_again(
    change: dict[str, Any], folder: Path, threads: int, compiled: list[Recipe]
) -> None:
    trainer = Trainer(threads)
    train(trainer, assign(folder, **{"model": {"hidden_units": 8}}))
    changed = assign(folder, **{"model": {"hidden_units": 8}, **change})
    assert train(trainer, changed) == train(Trainer(threads), changed)
    assert len(compiled) == 3


def test_changed_data_in_the_same_folder_are_used(
    folder: Path, threads: int, tmp_path: Path
) -> None:
    place = write_folder(tmp_path / "prepared")
    trainer = Trainer(threads)
    before = train(trainer, assign(place))
    write_folder(place, digest="1" * 64)
    labels = np.load(place / "y_train.npy")
    np.save(place / "y_train.npy", labels[::-1].copy())
    after = train(trainer, assign(place))
    assert after != before
    assert after == train(Trainer(threads), assign(place))


def test_a_custom_factory_is_compiled_each_time(
    own_nets: Path, folder: Path, threads: int, compiled: list[Recipe]
) -> None:
    trainer = Trainer(threads)
    own = assign(folder, "nets.py:functional", folders=[own_nets])
    assert train(trainer, own) == train(trainer, own)
    assert len(compiled) == 2


def test_the_least_recently_used_program_is_evicted(
    monkeypatch: pytest.MonkeyPatch, folder: Path, threads: int, compiled: list[Recipe]
) -> None:
    monkeypatch.setattr(cache, "_MOST_PROGRAMS", 2)
    trainer = Trainer(threads)
    for units in (4, 5, 4, 6, 4, 5):  # 6 evicts 5, since 4 was used in between
        train(trainer, assign(folder, model={"hidden_units": units}))
    assert [recipe.model.model_dump()["hidden_units"] for recipe in compiled] == [4, 5, 6, 5]


def test_large_models_are_not_cached(
    monkeypatch: pytest.MonkeyPatch, folder: Path, threads: int, compiled: list[Recipe]
) -> None:
    monkeypatch.setattr(cache, "_MOST_VALUES", 100)
    trainer = Trainer(threads)
    for _ in range(2):
        train(trainer, assign(folder))
    assert len(compiled) == 2
