"""Names that a user typed, and the names that exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from models.errors import RequestError


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'X'?" with the nearest known names, or nothing when none is near."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(match) for match in near)}?" if near else ""


def check_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return `name` if it is one of `known`.

    Raises:
        RequestError: it is not; the message lists what is known and names the nearest.
    """
    options = list(known)
    if name in options:
        return name
    raise RequestError(f"unknown {kind} {name!r}: must be one of {', '.join(options)}.{suggestion(name, options)}")
