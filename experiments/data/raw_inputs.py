"""Raw inputs: what an example is before it is prepared, as a user of the model has it.

Of a published data set and of npz:PATH it is an entry of x_train, in the type and with the axes of
the file; of folder:PATH a decoded image, uint8 (height, width), or (height, width, 3) if a training
image has colour, and with `size` of any height and width; of generated points a row of float32.

From raw to what a network sees:

1. an image of another size than `size` is resized by Pillow;
2. images with their channels first get them last, grey ones get a channel axis;
3. `centre` is subtracted, and the numbers become float32 (`centring.py`);
4. they are scaled: x * factor + offset (`scaling.py`).
"""

from __future__ import annotations

import base64
import zlib
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from assay.experiments.data.arrays import Array
from assay.experiments.data.layout import RESIZE_FILTER, Layout, input_shape_in
from assay.experiments.data.preparation import PreparedData
from assay.experiments.data.settings import DataSettings
from assay.models.data import SPLIT_FILES, StoredScale

DTYPE_PATTERN = r"^(bool|u?int(8|16|32|64)|float(16|32|64|96|128))$"
"""Of the names of NumPy's real types."""

MOST_EXAMPLE_BYTES = 1 << 18
"""Size of a raw example, compressed, up to which it is recorded: journals are read often."""

_MOST_UNPACKED_BYTES = 1 << 26

_Side = Annotated[int, Field(ge=1, le=2**31)]


class RawInputs(BaseModel):
    """How raw inputs become what a network sees.

    Attributes:
        dtype: type of the raw numbers, such as "uint8".
        shape: shape of a raw example; where images are resized, of a resized one.
        layout: layout of the raw examples; None for rows.
        size: (height, width) in pixels to which images are resized; None if they are not.
        resize: filter of Pillow by which they are.
        centre: what is subtracted before the cast to float32, (features,) or (1,); None for
            nothing.
        factor: of the scale, (features,) or (channels,).
        offset: likewise.
        example: a training example, of `shape` and `dtype`: its bytes in C order, little-endian,
            compressed by zlib, in base64; None if it is large.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    dtype: Annotated[str, Field(pattern=DTYPE_PATTERN)]
    shape: Annotated[tuple[_Side, ...], Field(min_length=1, max_length=3)]
    layout: Layout | None
    size: tuple[_Side, _Side] | None = None
    resize: str | None = None
    centre: tuple[float, ...] | None = None
    factor: tuple[float, ...]
    offset: tuple[float, ...]
    example: str | None = None

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Shape of an example as it is stored: (height, width, channels) of images."""
        return input_shape_in(self.layout, (1, *self.shape))

    def read_example(self) -> Array | None:
        """Return the example; None if there is none.

        Raises:
            ValueError: its bytes are no such array.
        """
        if self.example is None:
            return None
        dtype = np.dtype(self.dtype).newbyteorder("<")
        size = int(np.prod(self.shape, dtype=np.float64)) * dtype.itemsize
        if size > _MOST_UNPACKED_BYTES:
            raise ValueError(f"an example must have at most {_MOST_UNPACKED_BYTES:,} bytes")
        try:
            # No more than the array needs: compressed bytes can be a thousand times as many.
            content = zlib.decompressobj().decompress(base64.b64decode(self.example), size + 1)
        except zlib.error as error:
            raise ValueError(f"the example is damaged ({error})") from None
        return np.frombuffer(content, dtype).reshape(self.shape).astype(self.dtype)


def describe_raw_inputs(data: PreparedData, settings: DataSettings, scale: str) -> dict[str, Any]:
    """Return the `RawInputs` of prepared data as plain values.

    Args:
        data: the data, whose first training example becomes the example.
        settings: the [data] table.
        scale: the scale that is used, a name under `data.scales`.
    """
    stored: StoredScale = data.scales[scale]
    raw = RawInputs(
        dtype=data.input_type,
        shape=data.source_shape,
        layout=data.layout,
        size=settings.size,
        resize=None if settings.size is None else RESIZE_FILTER,
        centre=data.centre,
        factor=stored.factor,
        offset=stored.offset,
        example=_pack(_read_raw_example(data)),
    )
    return raw.model_dump(mode="json")


def _read_raw_example(data: PreparedData) -> Array:
    """Return the first training example as it was in its source, as far as it is stored."""
    file = data.folder / SPLIT_FILES["train"][0]
    stored: Array = np.load(file, mmap_mode="r", allow_pickle=False)[0]
    dtype = np.dtype(data.input_type)
    if data.centre is not None:
        stored = stored.astype(np.float64) + np.asarray(data.centre)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        # The largest float64 below 2**63, which is no int64 itself.
        highest = np.nextafter(float(limits.max), 0) if dtype.itemsize == 8 else limits.max
        stored = np.clip(np.rint(stored), limits.min, highest)
    raw = np.moveaxis(stored, -1, 0) if data.layout == "channels_first" else stored
    return raw.reshape(data.source_shape).astype(dtype)


def _pack(example: Array) -> str | None:
    ordered = np.ascontiguousarray(example, dtype=example.dtype.newbyteorder("<"))
    packed = zlib.compress(ordered.tobytes(), 9)
    return None if len(packed) > MOST_EXAMPLE_BYTES else base64.b64encode(packed).decode()
