"""Text files of users."""

from __future__ import annotations

import codecs
from pathlib import Path

from assay.models.files import MOST_TEXT_BYTES, read_user_file

# UTF-32 first: its mark begins with that of UTF-16.
_OTHER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def read_utf8(path: Path, most_bytes: int = MOST_TEXT_BYTES) -> str:
    """Return the text of a UTF-8 file or pipe, without its byte order mark if it has one.

    Args:
        path: path of the file.
        most_bytes: limit of its size.

    Raises:
        OSError: the file can't be read.
        ValueError: it is not UTF-8, too large, a device, or a pipe that nothing writes to; the
            message says what it is.
    """
    content = read_user_file(path, most_bytes)
    for mark, encoding in _OTHER_MARKS.items():
        if content.startswith(mark):
            raise ValueError(f"it is {encoding}, not UTF-8: save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"it is not UTF-8 (byte {content[error.start]:#04x} at position {error.start}): "
            "save it as UTF-8"
        ) from None
    # As in a file that is opened as text.
    return text.replace("\r\n", "\n").replace("\r", "\n")
