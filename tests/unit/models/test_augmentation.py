"""Augmentation: flips and shifts drawn from seed and epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from assay.models.errors import RequestError
from assay.models.training.augmentation import Crops, apply_crops, check_augmentation, draw_crops
from assay.models.training.config import TrainSettings

IMAGE = np.arange(1, 13, dtype=np.uint8).reshape(1, 3, 4, 1)


def by_hand(image: np.ndarray, flipped: bool, down: int, right: int) -> np.ndarray:
    """Flip an image (height, width, channels), then shift it pixel by pixel."""
    source, moved = image[:, ::-1] if flipped else image, np.zeros_like(image)
    height, width, _ = image.shape
    for i in range(height):
        for j in range(width):
            if 0 <= i - down < height and 0 <= j - right < width:
                moved[i, j] = source[i - down, j - right]
    return moved


def test_every_flip_and_shift_occurs() -> None:
    train = TrainSettings(flip=True, shift=2)
    copies = np.repeat(IMAGE, 2000, axis=0)
    seen = apply_crops(copies, draw_crops(train, 1, 0, 2000, (3, 4, 1)), 2)
    assert (seen.dtype, seen.shape) == (np.uint8, (2000, 3, 4, 1))
    possible = {
        by_hand(IMAGE[0], flipped, down, right).tobytes(): (flipped, down, right)
        for flipped in (False, True)
        for down in range(-2, 3)
        for right in range(-2, 3)
    }
    assert len(possible) == 50
    found = [possible[image.tobytes()] for image in seen]
    assert set(found) == set(possible.values())
    assert 0.45 < np.mean([flipped for flipped, _, _ in found]) < 0.55


@pytest.mark.parametrize(("train", "kinds"), [({"flip": True}, 2), ({"shift": 1}, 9)])
def test_flip_and_shift_can_be_used_alone(train: dict[str, Any], kinds: int) -> None:
    settings = TrainSettings(**train)
    seen = apply_crops(
        np.repeat(IMAGE, 200, axis=0), draw_crops(settings, 1, 0, 200, (3, 4, 1)), settings.shift
    )
    assert len({image.tobytes() for image in seen}) == kinds


def test_augmentation_depends_on_seed_and_epoch() -> None:
    def drawn(seed: int, epoch: int) -> Crops:
        return draw_crops(TrainSettings(flip=True, shift=3), seed, epoch, 500, (8, 8, 1))

    assert np.array_equal(drawn(1, 2).rows, drawn(1, 2).rows)
    assert np.array_equal(drawn(1, 2).columns, drawn(1, 2).columns)
    assert not np.array_equal(drawn(1, 2).rows, drawn(1, 3).rows)
    assert not np.array_equal(drawn(1, 2).rows, drawn(2, 2).rows)
    as_the_order_is = np.random.default_rng([1, 2]).integers(-3, 3, (500, 1), endpoint=True)
    assert not np.array_equal(drawn(1, 2).rows, np.arange(8) - as_the_order_is + 3)


@pytest.mark.parametrize(
    ("train", "input_shape", "message"),
    [
        ({"flip": True}, (64,), r"need images: received inputs of shape \(64,\) with flip = True"),
        (
            {"shift": 1},
            (64,),
            r"need images: received inputs of shape \(64,\) with flip = False, shift = 1",
        ),
        (
            {"shift": 8},
            (9, 8, 1),
            "received shift = 8 with images of 9 x 8 pixels; set it to at most 7",
        ),
    ],
)
def test_invalid_inputs_are_refused(
    train: dict[str, Any], input_shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        check_augmentation(TrainSettings(**train), input_shape)


@pytest.mark.parametrize(
    ("train", "input_shape"),
    [({}, (64,)), ({"flip": True, "shift": 7}, (8, 9, 3)), ({"flip": True}, (1, 1, 1))],
)
def test_valid_inputs_are_accepted(train: dict[str, Any], input_shape: tuple[int, ...]) -> None:
    check_augmentation(TrainSettings(**train), input_shape)
