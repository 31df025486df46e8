"""Numbers, values and times as people read and write them."""

from __future__ import annotations

import math
import re
from typing import Any

from assay.experiments.terminal_text import in_line
from assay.models.errors import RequestError
from assay.search.objective import Objectives, Values

_BARS = "▁▂▃▄▅▆▇█"
_CURVE_CHARACTERS = 20
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}


def counted(number: int, what: str) -> str:
    """Return a number with what it counts."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def sparkline(values: list[float]) -> str:
    """Return a curve as a row of bars, from its lowest value to its highest; a long one is thinned
    out.
    """
    if not values:
        return ""
    step = -(-len(values) // _CURVE_CHARACTERS)
    kept = values[(len(values) - 1) % step :: step]  # the last value is always among them
    low, high = min(kept), max(kept)
    height = (high - low) or 1.0
    return "".join(_BARS[round((value - low) / height * (len(_BARS) - 1))] for value in kept)


def named(objectives: Objectives, values: Values) -> str:
    """Return values with the names of their metrics."""
    pairs = zip(objectives.each, values, strict=True)
    return ", ".join(f"{objective.metric} {measured(value)}" for objective, value in pairs)


def measured(value: float) -> str:
    """Return what was measured: a whole number as it is, another with four digits behind the point,
    or in all.
    """
    if float(value).is_integer() and abs(value) >= 10:
        return f"{int(value):,}"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.4g}"


def shown(value: Any) -> str:
    """Return a hyperparameter's value as people write it."""
    return f"{value:.3g}" if isinstance(value, float) else in_line(str(value))


def clock(seconds: float) -> str:
    """Return a time as 1:02:03, 4:05 or 12 s."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def read_seconds(given: str | float, where: str) -> float:
    """Return a time in seconds: 90 is one already, and so are 90s, 10m or 1h30m; a bare number is
    seconds.

    Args:
        given: the time.
        where: what to call it in an error, such as "--timeout".

    Raises:
        RequestError: it is none, or not above zero.
    """
    seconds = _read(given) if isinstance(given, str) else float(given)
    if not (math.isfinite(seconds) and seconds > 0):
        raise RequestError(
            f"{where} takes a time above 0, such as 90s, 10m or 1h30m; received {given!r}."
        )
    return seconds


def _read(text: str) -> float:
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms]?)", text)
    if "".join(number + unit for number, unit in parts) != text:
        return math.nan
    return sum(float(number) * _UNITS[unit or "s"] for number, unit in parts)
