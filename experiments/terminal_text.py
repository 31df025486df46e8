"""Words from anywhere, made fit for a terminal: names, values and errors may hold whatever somebody
put into them.
"""

from __future__ import annotations

from assay.search.system.urls import scrubbed

_LONGEST_LINE_CHARACTERS = 2000


def visible(text: str) -> str:
    """Return a text with all that would steer a terminal written out, but for the ends of lines."""
    return "".join(
        letter
        if letter.isprintable() or letter == "\n"
        else letter.encode("unicode_escape").decode()
        for letter in text.replace("\t", "    ")
    )


def in_line(text: str) -> str:
    """Return a text with the ends of lines written out too."""
    return visible(text).replace("\n", "\\n")


def one_line(text: str) -> str:
    """Return a text as one line of moderate length that steers no terminal and tells no secret."""
    line = visible(" ".join(scrubbed(text).split()))
    if len(line) <= _LONGEST_LINE_CHARACTERS:
        return line
    half = _LONGEST_LINE_CHARACTERS // 2  # what to do stands at the end
    return f"{line[:half]} [...] {line[-half:]}"
