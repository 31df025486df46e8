"""Untrusted text, made safe for a terminal.

Names, values and errors come from files and stores: they may hold control characters that would
move the cursor or change colors, and addresses with passwords.
"""

from __future__ import annotations

from assay.search.system.urls import scrub_secrets

_MAX_LINE_CHARACTERS = 2000


def escape_text(text: str) -> str:
    """Return a text with control characters escaped, except newlines."""
    return "".join(
        letter
        if letter.isprintable() or letter == "\n"
        else letter.encode("unicode_escape").decode()
        for letter in text.replace("\t", "    ")
    )


def escape_line(text: str) -> str:
    """Return a text with control characters and newlines escaped."""
    return escape_text(text).replace("\n", "\\n")


def to_single_line(text: str) -> str:
    """Return a text as one safe line without secrets."""
    line = escape_text(" ".join(scrub_secrets(text).split()))
    if len(line) <= _MAX_LINE_CHARACTERS:
        return line
    # The middle is cut out: an error message says at its end what to do.
    half = _MAX_LINE_CHARACTERS // 2
    return f"{line[:half]} [...] {line[-half:]}"
