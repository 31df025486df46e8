"""Whether a data set fits into memory and onto the disk, judged before an array is read."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from assay.models.errors import RequestError
from assay.search.system.hardware import available_memory_bytes


@dataclass(frozen=True)
class ArraySize:
    """Shape and type of an array that is not read yet, as a header gives them.

    Attributes:
        shape: its shape.
        dtype: its type.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def bytes(self) -> int:
        """Bytes of all elements."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def stored_bytes(self) -> int:
        """Bytes of the prepared array: images of bytes stay as they are, others are float32."""
        keeps_bytes = len(self.shape) > 2 and self.dtype == np.uint8
        return math.prod(self.shape) * (1 if keeps_bytes else np.dtype(np.float32).itemsize)


CapacityCheck: TypeAlias = Callable[[Mapping[str, ArraySize]], None]
"""Takes the sizes of a source's arrays by name, as `SourceArrays` has them; raises a RequestError
if they are too large. A source calls it before it reads or decodes an array.
"""


def accept_any_size(sizes: Mapping[str, ArraySize]) -> None:
    """Accept arrays of any size: the check of a source whose arrays are small."""


def check_capacity(
    name: str, sizes: Mapping[str, ArraySize], folder: Path, train_images: int | None = None
) -> None:
    """Check that arrays can be read, and that their prepared copies can be written.

    Both needs are lower bounds: temporary arrays are not counted, nor are targets on the disk. So
    no data set is refused that could be prepared.

    Args:
        name: the data set's name, for the message.
        sizes: the sizes of the source's arrays.
        folder: the prepared folder, which need not exist.
        train_images: size of the training subset; None for all.

    Raises:
        RequestError: they do not fit into the memory that is available, or onto the disk.
    """
    inputs = {array: size for array, size in sizes.items() if array.startswith("x_")}
    stored = {array: size.stored_bytes for array, size in inputs.items()}
    rows = max((1, *sizes["x_train"].shape[:1]))
    if train_images is not None and rows > train_images:
        stored["x_train"] = stored["x_train"] * train_images // rows
    # The training set is copied by its split; other images of bytes are stored without a copy.
    copied = sum(
        stored[array]
        for array, size in inputs.items()
        if array == "x_train" or size.stored_bytes != size.bytes
    )
    memory = sum(size.bytes for size in sizes.values()) + copied
    if memory > (available := available_memory_bytes()):
        raise RequestError(
            f"{name} must fit into memory while it is prepared, which takes "
            f"{_format_bytes(memory)}; {_format_bytes(available)} are available: free some, or "
            "use a smaller data set."
        )
    disk, free = sum(stored.values()), _free_disk_bytes(folder)
    if disk > free:
        raise RequestError(
            f"{name} must fit into home, where its prepared copy takes {_format_bytes(disk)}; "
            f"{_format_bytes(free)} are free on that disk: make room, or choose another home with "
            "--home."
        )


def _free_disk_bytes(folder: Path) -> int:
    existing = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
    return shutil.disk_usage(existing).free


def _format_bytes(number: int) -> str:
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.1f} MB"
