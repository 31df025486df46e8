"""Small data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Arrays = dict[str, np.ndarray[Any, Any]]


def make_arrays(images: int = 60, test_images: int = 12, classes: int = 3) -> Arrays:
    """Return classes of distinct 4 x 4 images whose first pixel is the label."""

    def part(count: int, start: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        y = np.arange(count) % classes
        x = np.random.default_rng(start).integers(0, 256, (count, 4, 4)).astype(np.uint8)
        x[:, 0, 0] = y
        x[:, 3, 3], x[:, 3, 2] = (np.arange(count) + start) % 256, (np.arange(count) + start) // 256
        return x, y

    (x_train, y_train), (x_test, y_test) = part(images, 0), part(test_images, images)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def make_tree(root: Path, arrays: Arrays, names: tuple[str, ...]) -> Path:
    """Write arrays as PNGs to train/<class>/ and test/<class>/; sorted paths keep the order."""
    for part in ("train", "test"):
        for place, (x, y) in enumerate(zip(arrays[f"x_{part}"], arrays[f"y_{part}"], strict=True)):
            folder = root / part / names[y]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(x).save(folder / f"{place:05}.png")
    return root
