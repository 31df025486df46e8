"""A training resumed by another process gives the same result as an uninterrupted one."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from assay.models.worker.trainer import Trainer
from tests.helpers.planted import Harm
from tests.helpers.prepared_data import assign

EPOCHS = 4
TRAININGS: dict[str, dict[str, Any]] = {
    "adam": {"model": {"hidden_units": [8, 4]}, "train": {"optimizer": "adam"}},
    "momentum": {"model": {"hidden_units": 8}, "train": {"optimizer": "momentum", "momentum": 0.9}},
    "dropout": {"model": {"hidden_units": 8, "dropout": 0.4}, "train": {"optimizer": "rmsprop"}},
    "schedule": {"model": {"hidden_units": 8}, "train": {"schedule": "cosine"}},
    "weight decay": {
        "model": {"hidden_units": 8},
        "train": {"optimizer": "adamw", "weight_decay": 0.01},
    },
    "batch normalisation": {"family": "cnn", "model": {"filters": 4, "batch_norm": True}},
    "augmentation": {"family": "cnn", "model": {"filters": 4}, "train": {"shift": 1, "flip": True}},
    "early stopping": {
        "model": {"hidden_units": 8},
        "train": {"early_stopping": 3, "learning_rate": 0.5},
    },
}


def spec(folder: Path, checkpoint: Path | None, **training: Any) -> dict[str, Any]:
    training = {**training, "train": {**training.get("train", {}), "epochs": EPOCHS}}
    given = assign(folder, **training)
    return given if checkpoint is None else {**given, "checkpoint": str(checkpoint)}


def told(reply: dict[str, Any]) -> dict[str, Any]:
    """Return a reply without its time."""
    return {name: value for name, value in reply.items() if name != "seconds"}


def weights(path: Path) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(one) for one in keras.saving.load_model(path).get_weights()]


@pytest.mark.parametrize("name", TRAININGS)
def test_a_resumed_training_equals_an_uninterrupted_one(
    name: str, folder: Path, tmp_path: Path
) -> None:
    training = TRAININGS[name]
    whole = Trainer(threads=1)
    whole.begin(spec(folder, None, **training))
    expected = [told(whole.epoch()) for _ in range(EPOCHS)]
    whole.finish(str(tmp_path / "whole.keras"))

    first = Trainer(threads=1)
    assert "resumed" not in first.begin(spec(folder, tmp_path / "kept.npz", **training))
    before = [told(first.epoch()) for _ in range(2)]
    second = Trainer(threads=1)
    second.begin(assign(folder, model={"hidden_units": 3}, train={"epochs": 1}))
    second.epoch()  # another trial first, so that the process has no state of this one
    reply = second.begin(spec(folder, tmp_path / "kept.npz", **training))
    assert [told(one) for one in reply["resumed"]] == before
    after = [told(second.epoch()) for _ in range(EPOCHS - 2)]
    costs = second.finish(str(tmp_path / "second.keras"))
    assert [*before, *after] == expected
    assert costs["train_seconds"] > sum(one["seconds"] for one in reply["resumed"])
    for one, other in zip(
        weights(tmp_path / "second.keras"), weights(tmp_path / "whole.keras"), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_a_training_that_stopped_early_is_not_continued(folder: Path, tmp_path: Path) -> None:
    training = {"model": {"hidden_units": 8}, "train": {"early_stopping": 1, "learning_rate": 5.0}}
    first = Trainer(threads=1)
    first.begin(spec(folder, tmp_path / "kept.npz", **training))
    replies = [first.epoch()]
    while not replies[-1].get("stopped"):
        replies.append(first.epoch())
    second = Trainer(threads=1)
    assert second.begin(spec(folder, tmp_path / "kept.npz", **training))["resumed"] == replies
    first.finish(str(tmp_path / "first.keras"))
    second.finish(str(tmp_path / "second.keras"))
    for one, other in zip(
        weights(tmp_path / "first.keras"), weights(tmp_path / "second.keras"), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def rewrite(kept: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the arrays of a checkpoint; what it says of itself is a mapping."""
    with np.load(kept) as file:
        arrays: dict[str, Any] = dict(file)
    arrays["about"] = json.loads(arrays["about"].tobytes())
    change(arrays)
    arrays["about"] = np.frombuffer(json.dumps(arrays["about"]).encode(), np.uint8)
    np.savez(kept, **arrays)


FORGED: dict[str, Callable[[dict[str, Any]], object]] = {
    "no replies": lambda arrays: arrays["about"].update(replies=[]),
    "a text for replies": lambda arrays: arrays["about"].update(replies="none"),
    "no identity": lambda arrays: arrays["about"].pop("identity"),
    "a list for all it says": lambda arrays: arrays.update(about=[1]),
    "text for weights": lambda arrays: arrays.update(
        state_0=np.full(arrays["state_0"].shape, "weight")
    ),
    "complex weights": lambda arrays: arrays.update(state_0=arrays["state_0"] * 1j),
    "weights of zero": lambda arrays: arrays["state_0"].fill(0),
    "weights that are no numbers": lambda arrays: arrays["state_1"].fill(np.nan),
    "another step of the optimizer": lambda arrays: arrays.update(
        (name, array + 1) for name, array in [*arrays.items()] if getattr(array, "ndim", 1) == 0
    ),
    "another metric": lambda arrays: arrays["about"]["replies"][0]["metrics"].update(loss=0.0),
    "a second epoch": lambda arrays: arrays["about"]["replies"].append(
        arrays["about"]["replies"][0]
    ),
    "an array more": lambda arrays: arrays.update(best_0=np.zeros(3)),
    "a number for a digest": lambda arrays: arrays["about"].update(digest=1),
    "one array less": lambda arrays: arrays.pop("state_1"),
    "best weights of another shape": lambda arrays: (
        arrays["about"].update(stopping={"epoch": 1, "metrics": {}}),
        arrays.update(best_0=np.zeros(3)),
    ),
}


@pytest.mark.parametrize("harm", FORGED)
def test_a_forged_checkpoint_changes_nothing(harm: str, folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.npz"
    first = Trainer(threads=1)
    first.begin(spec(folder, kept, model={"hidden_units": 8}))
    reply = first.epoch()
    rewrite(kept, FORGED[harm])
    second = Trainer(threads=1)
    assert "resumed" not in second.begin(spec(folder, kept, model={"hidden_units": 8}))
    assert second.epoch()["metrics"] == reply["metrics"]


def test_a_checkpoint_without_a_digest_is_read(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.npz"
    first = Trainer(threads=1)
    first.begin(spec(folder, kept, model={"hidden_units": 8}))
    reply = first.epoch()
    rewrite(kept, lambda arrays: arrays["about"].pop("digest"))
    second = Trainer(threads=1)
    begun = second.begin(spec(folder, kept, model={"hidden_units": 8}))
    assert begun["resumed"] == [reply]
    assert second.epoch()["metrics"] == first.epoch()["metrics"]


@pytest.mark.parametrize("harm", ["a bomb", "a link", "a pipe"])
def test_a_checkpoint_that_is_none_is_not_read(harm: str, folder: Path, tmp_path: Path) -> None:
    kept, elsewhere = tmp_path / "kept.npz", tmp_path / "elsewhere.npz"
    first = Trainer(threads=1)
    first.begin(spec(folder, elsewhere, model={"hidden_units": 8}))
    first.epoch()
    if harm == "a bomb":
        np.savez_compressed(kept, about=np.zeros(1 << 30, np.uint8))
    elif harm == "a link":
        kept.symlink_to(elsewhere)
    else:
        os.mkfifo(kept)
    second = Trainer(threads=1)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "resumed" not in second.begin(spec(folder, kept, model={"hidden_units": 8}))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < used + (500 << 10)


@pytest.mark.parametrize("harm", ["another training", "truncated", "flipped", "pickled"])
def test_an_invalid_checkpoint_is_ignored(harm: str, folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.npz"
    first = Trainer(threads=1)
    first.begin(spec(folder, kept, model={"hidden_units": 8 if harm != "another training" else 9}))
    first.epoch()
    content = bytearray(kept.read_bytes())
    if harm == "truncated":
        kept.write_bytes(content[: len(content) // 2])
    elif harm == "flipped":
        content[len(content) // 3] ^= 255
        kept.write_bytes(content)
    elif harm == "pickled":
        np.savez(kept, about=np.array([Harm(tmp_path / "opened")], dtype=object))
    second = Trainer(threads=1)
    assert "resumed" not in second.begin(spec(folder, kept, model={"hidden_units": 8}))
    second.epoch()
    assert not (tmp_path / "opened").exists()
    assert (
        len(Trainer(threads=1).begin(spec(folder, kept, model={"hidden_units": 8}))["resumed"]) == 1
    )


def test_no_flipped_byte_fails_a_trial(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.npz"
    first = Trainer(threads=1)
    training = spec(folder, kept, model={"hidden_units": 8})
    first.begin(training)
    reply = first.epoch()
    content = kept.read_bytes()
    for at in [
        *range(0, len(content), len(content) // 40),
        *range(len(content) - 120, len(content)),
    ]:
        kept.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
        begun = Trainer(threads=1).begin(training)  # some bytes have no meaning
        assert begun.get("resumed", [reply]) == [reply], at


def test_a_checkpoint_that_cannot_be_written_is_reported_and_training_continues(
    folder: Path, tmp_path: Path
) -> None:
    trainer = Trainer(threads=1)
    trainer.begin(spec(folder, tmp_path / "no such folder" / "kept.npz", model={"hidden_units": 8}))
    replies = [trainer.epoch() for _ in range(EPOCHS)]
    assert all("No such file" in reply["unkept"] for reply in replies)
    assert trainer.finish(None)["train_seconds"] > 0
