"""Files of the user's own code, as they are recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_FILE_BYTES = 1 << 18
"""Size up to which the text of a file is recorded."""

MOST_BYTES = 1 << 20
"""Size up to which the texts of all files are recorded together."""

MOST_FILES = 200
"""Number of files whose texts are recorded."""


@dataclass(frozen=True)
class CodeFile:
    """A file of the user's code.

    Attributes:
        name: relative to the user's folder, such as "nets/blocks.py".
        digest: SHA-256 of its content.
        text: its content; None if that was left out.
        left_out: why it was left out; empty if it was not.
    """

    name: str
    digest: str
    text: str | None = None
    left_out: str = ""


def read_code_files(files: Sequence[tuple[str, Path]]) -> list[CodeFile]:
    """Read files of the user's code, each with its digest.

    Texts are left out that are too large, or no UTF-8, such as weights that the code reads.

    Args:
        files: displayed name and path of each.
    """
    found: list[CodeFile] = []
    bytes_left = MOST_BYTES
    for name, path in files:
        with path.open("rb") as file:
            content = file.read(MOST_FILE_BYTES + 1)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        text, left_out = _decode(content, bytes_left)
        if len(found) >= MOST_FILES:
            text, left_out = None, f"there are more than {MOST_FILES} files"
        bytes_left -= 0 if text is None else len(content)
        found.append(CodeFile(name, digest, text, left_out))
    return found


def _decode(content: bytes, most_bytes: int) -> tuple[str | None, str]:
    """Return a file's text, or None and why it is left out."""
    if len(content) > MOST_FILE_BYTES:
        return None, f"it has more than {MOST_FILE_BYTES:,} bytes"
    if len(content) > most_bytes:
        return None, f"the files have more than {MOST_BYTES:,} bytes"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None, "it is no UTF-8 text"
    return (text, "") if "\0" not in text else (None, "it is no text")
