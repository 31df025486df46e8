"""Headers of arrays as NumPy writes them; the arrays are not read."""

from __future__ import annotations

import io
import sys
from typing import IO, NamedTuple

import numpy as np

from assay.experiments.data.capacity import ArraySize

_MOST_HEADER_BYTES = 10_000  # NumPy's own limit, which it checks after reading up to 4 GB
_MOST_REASON_TEXT = 200

# Version 3.0 is for arrays with named fields whose names are not Latin-1.
_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class ArrayHeader(NamedTuple):
    """What the header of an array says.

    Attributes:
        size: shape and type of the array.
        header_bytes: bytes of the header itself.
    """

    size: ArraySize
    header_bytes: int


def read_array_header(file: IO[bytes]) -> ArrayHeader:
    """Return what the header at the beginning of a file says.

    Raises:
        OSError: the file can't be read.
        ValueError: it does not begin with such a header.
    """
    # No more than that, since the header says itself how long it is.
    head = io.BytesIO(file.read(_MOST_HEADER_BYTES))
    try:
        reader = _READERS.get(np.lib.format.read_magic(head))
        if reader is not None:
            shape, _, dtype = reader(head)
    # NumPy evaluates the header as a Python literal: whatever the tokenizer, the parser and the
    # reader of types raise. Its messages may quote a whole header.
    except Exception as error:
        reason = " ".join(str(error).split())[:_MOST_REASON_TEXT]
        raise ValueError(f"its header is damaged ({reason})") from None
    if reader is None:
        raise ValueError("it has named fields, and an array must be of one type of number")
    # Python would refuse to print a length of thousands of digits.
    if any(abs(length) > sys.maxsize for length in shape):
        raise ValueError("its header claims a length that no array can have")
    return ArrayHeader(ArraySize(shape, dtype), head.tell())
