"""Times as people write them."""

from __future__ import annotations

import math
import re

from models.errors import RequestError

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}


def read_seconds(given: str | float, where: str) -> float:
    """Return a time in seconds: 90 is one already, and so are 90s, 10m or 1h30m; a bare number is seconds.

    Args:
        given: the time.
        where: what to call it in an error, such as "--timeout".

    Raises:
        RequestError: it is none, or not above zero.
    """
    seconds = _read(given) if isinstance(given, str) else float(given)
    if not (math.isfinite(seconds) and seconds > 0):
        raise RequestError(f"{where} takes a time above 0, such as 90s, 10m or 1h30m; received {given!r}.")
    return seconds


def _read(text: str) -> float:
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms]?)", text)
    if "".join(number + unit for number, unit in parts) != text:
        return math.nan
    return sum(float(number) * _UNITS[unit or "s"] for number, unit in parts)
