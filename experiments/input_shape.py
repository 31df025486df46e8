"""What one input of a data set looks like, as far as that can be told without reading its arrays."""

from __future__ import annotations

import zipfile
from pathlib import Path

from experiments.data import GENERATED, KNOWN, DataSettings

_ARCHIVE_PREFIX = "npz:"


def input_shape(settings: DataSettings, base: Path) -> tuple[int, ...] | None:
    """Return the shape of one input, (height, width, channels) or (features,); None where only making it would tell.

    Args:
        settings: the [data] table; a file that it names can be read.
        base: what a relative path is relative to.
    """
    if settings.name in KNOWN:
        return KNOWN[settings.name].shape
    if settings.name in GENERATED:
        return (1,) if GENERATED[settings.name].task == "regression" else (2,)
    if not settings.name.startswith(_ARCHIVE_PREFIX):
        return None
    shape = _array_shape(base / Path(settings.name.removeprefix(_ARCHIVE_PREFIX)).expanduser())
    return (*shape[1:], 1) if len(shape) == 3 else shape[1:]  # grey images may come without their channel


def _array_shape(archive: Path) -> tuple[int, ...]:
    import numpy as np  # here, because known sets need none of it

    with zipfile.ZipFile(archive) as content, content.open("x_train.npy") as stream:
        old = np.lib.format.read_magic(stream) == (1, 0)
        shape: tuple[int, ...] = (np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0)(
            stream
        )[0]
    return shape
