"""Untrusted text, made safe for a terminal.

Names, values and errors come from files and stores: they may hold control characters that would
move the cursor or change colors, and addresses with passwords.

All that the command writes goes through `escaped_streams`, tracebacks and messages of libraries
too. Rich's colors and cursor movements go around it, through a `console.tables.SafeConsole`, which
escapes the texts between them.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from assay.search.system.urls import scrub_secrets

_MAX_LINE_CHARACTERS = 2000


def escape_text(text: str) -> str:
    """Return a text with control characters escaped, except newlines.

    Characters that change the direction of a text, or can't be seen, are escaped too.

    Example:
        >>> escape_text(f"red: {chr(27)}[31m").isprintable()
        True
    """
    # Nearly every text is printable, and the way below takes a hundred times longer.
    if text.replace("\n", "").isprintable():
        return text
    return "".join(
        letter
        if letter.isprintable() or letter == "\n"
        else letter.encode("unicode_escape").decode()
        for letter in text.replace("\t", "    ")
    )


def escape_line(text: str) -> str:
    """Return a text with control characters and newlines escaped."""
    return escape_text(text).replace("\n", "\\n")


class EscapingStream:
    """A text stream that escapes what is written to it.

    Args:
        inner: the stream that gets the escaped text.
    """

    def __init__(self, inner: TextIO) -> None:
        self.escaped_stream = inner

    def __getattr__(self, name: str) -> Any:
        # click writes to the buffer of a stream that it considers misconfigured.
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self.escaped_stream, name)

    def write(self, text: str | bytes) -> int:
        """Write a text, escaped; return the number of its characters."""
        if isinstance(text, bytes):  # click writes the answer to a completion
            text = text.decode(errors="surrogateescape")
        self.escaped_stream.write(escape_text(text))
        return len(text)

    def writelines(self, lines: Iterator[str]) -> None:
        """Write texts, escaped."""
        for line in lines:
            self.write(line)


@contextlib.contextmanager
def escaped_streams() -> Iterator[None]:
    """Escape what is written to standard output and standard error, until the end of the block."""
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, EscapingStream(stream)) for stream in streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams


def unescaped(stream: TextIO) -> TextIO:
    """Return the stream that gets control codes of our own."""
    return cast(TextIO, getattr(stream, "escaped_stream", stream))


def to_single_line(text: str) -> str:
    """Return a text as one safe line without secrets."""
    line = escape_text(" ".join(scrub_secrets(text).split()))
    if len(line) <= _MAX_LINE_CHARACTERS:
        return line
    # The middle is cut out: an error message says at its end what to do.
    half = _MAX_LINE_CHARACTERS // 2
    return f"{line[:half]} [...] {line[-half:]}"
