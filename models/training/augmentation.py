"""Augmentation: every epoch sees each training image flipped and shifted by chance.

It is said by indices alone, so that every backend shows a network the same pixels: pixel (i, j) of
what the network sees is pixel (rows[i], columns[j]) of the image with a black border, `shift` wide,
on all sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assay.models.data import Array
from assay.models.errors import RequestError

if TYPE_CHECKING:
    from assay.models.training.config import TrainSettings

_STREAM = 1  # beside the order's own numbers of the same seed and epoch


@dataclass(frozen=True)
class Crops:
    """What one epoch sees of every training image.

    Attributes:
        rows: of the image with its border, int32 (images, height).
        columns: likewise, int32 (images, width); falling where the image is flipped.
    """

    rows: NDArray[np.int32]
    columns: NDArray[np.int32]


def is_augmented(train: TrainSettings) -> bool:
    """Return whether images are changed at all."""
    return train.flip or train.shift > 0


def check_input(train: TrainSettings, input_shape: tuple[int, ...]) -> None:
    """See that inputs of this shape can be augmented as the settings say.

    Raises:
        RequestError: they are rows, not images, or smaller than the shift.
    """
    if not is_augmented(train):
        return
    if len(input_shape) != 3:
        raise RequestError(
            f"[train] flip and shift need images: received inputs of shape {input_shape} with flip = {train.flip}, "
            f"shift = {train.shift}; leave both out."
        )
    height, width, _ = input_shape
    if train.shift >= min(height, width):
        raise RequestError(
            f"[train] shift: must be smaller than an image's sides: received shift = {train.shift} with images of "
            f"{height} x {width} pixels; set it to at most {min(height, width) - 1}."
        )


def draw(
    train: TrainSettings, seed: int, epoch: int, images: int, input_shape: tuple[int, ...]
) -> Crops:
    """Draw what an epoch sees of every image.

    Each image is flipped left to right with probability a half if `flip` is set, then moved by as
    many pixels down and right as are drawn, each evenly from -shift to shift; what moves in is
    black.

    Args:
        train: with `flip` and `shift`.
        seed: the trial's.
        epoch: from 0; what is drawn follows from seed and epoch alone.
        images: how many.
        input_shape: (height, width, channels).
    """
    height, width, _ = input_shape
    random = np.random.default_rng([seed, epoch, _STREAM])
    down, right = random.integers(-train.shift, train.shift, (2, images, 1), endpoint=True)
    flipped = random.integers(0, 2, (images, 1)) * train.flip
    rows = np.arange(height) - down
    columns = np.arange(width) - right
    columns = np.where(flipped, width - 1 - columns, columns)
    return Crops((rows + train.shift).astype(np.int32), (columns + train.shift).astype(np.int32))


def look(x: Array, windows: Crops, shift: int) -> Array:
    """Return what the windows show of images x (images, height, width, channels), in shape and type
    like x.
    """
    bordered = np.pad(x, ((0, 0), (shift, shift), (shift, shift), (0, 0)))
    image = np.arange(len(x))[:, None, None]
    seen: Array = bordered[image, windows.rows[:, :, None], windows.columns[:, None, :]]
    return seen
