"""Augmentation: random flips and shifts of training images.

A crop is described by indices alone, so every backend shows a network the same pixels: pixel (i, j)
of the crop is pixel (rows[i], columns[j]) of the image with a black border of width `shift` on all
sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.models.data import Array
from assay.models.errors import RequestError
from assay.models.training.config import TrainSettings

# A third number beside seed and epoch, so that the random stream is not that of the batch order.
_STREAM = 1


@dataclass(frozen=True)
class Crops:
    """The part of every training image that one epoch sees.

    Attributes:
        rows: rows of the bordered image, int32 (images, height).
        columns: columns of the bordered image, int32 (images, width); descending where the image is
            flipped.
    """

    rows: NDArray[np.int32]
    columns: NDArray[np.int32]


def is_augmented(train: TrainSettings) -> bool:
    """Return whether training images are flipped or shifted."""
    return train.flip or train.shift > 0


def check_augmentation(train: TrainSettings, input_shape: tuple[int, ...]) -> None:
    """Check that inputs of this shape can be augmented.

    Raises:
        RequestError: the inputs are not images, or not larger than the shift.
    """
    if not is_augmented(train):
        return
    if len(input_shape) != 3:
        raise RequestError(
            f"[train] flip and shift need images: received inputs of shape {input_shape} with "
            f"flip = {train.flip}, shift = {train.shift}; leave both out."
        )
    height, width, _ = input_shape
    smaller_side = min(height, width)
    if train.shift >= smaller_side:
        raise RequestError(
            "[train] shift: must be smaller than the sides of an image: received shift = "
            f"{train.shift} with images of {height} x {width} pixels; "
            f"set it to at most {smaller_side - 1}."
        )


def draw_crops(
    train: TrainSettings, seed: int, epoch: int, images: int, input_shape: tuple[int, ...]
) -> Crops:
    """Draw the crop of every training image for one epoch.

    With `flip`, each image is flipped left to right with probability 1/2. Then it is moved by
    numbers of pixels down and right that are drawn uniformly from -shift to shift.

    Args:
        train: with `flip` and `shift`.
        seed: seed of the trial.
        epoch: number of the epoch, from 0; the crops depend on seed and epoch only.
        images: number of images.
        input_shape: (height, width, channels).
    """
    height, width, _ = input_shape
    random = np.random.default_rng([seed, epoch, _STREAM])
    down, right = random.integers(-train.shift, train.shift, (2, images, 1), endpoint=True)
    flipped = random.integers(0, 2, (images, 1)) * train.flip
    rows = np.arange(height) - down
    columns = np.arange(width) - right
    columns = np.where(flipped, width - 1 - columns, columns)
    # Indices of the bordered image begin `shift` pixels earlier.
    return Crops((rows + train.shift).astype(np.int32), (columns + train.shift).astype(np.int32))


def apply_crops(x: Array, crops: Crops, shift: int) -> Array:
    """Return the crops of images (images, height, width, channels)."""
    bordered = np.pad(x, ((0, 0), (shift, shift), (shift, shift), (0, 0)))
    image = np.arange(len(x))[:, None, None]
    cropped: Array = bordered[image, crops.rows[:, :, None], crops.columns[:, None, :]]
    return cropped
