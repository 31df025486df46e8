"""Numbers, hyperparameters and durations, formatted for people and parsed."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from assay.experiments.terminal_text import escape_line
from assay.models.errors import RequestError
from assay.search.objective import Objectives, Values
from assay.search.system.urls import scrub_secrets

_BARS = "▁▂▃▄▅▆▇█"
_SPARKLINE_CHARACTERS = 20
_MOST_DIGITS = 6  # after the point; smaller numbers have an exponent
_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_MAX_MARKDOWN_CHARACTERS = 400
# A colon before a space is no part of an address, and parentheses need brackets to be a link.
_MARKUP = re.compile(r"(?! |[A-Za-z0-9,.;%+()'-]|:(?= |$))[\x00-\x7f]")
_LINK_BEGINNING = re.compile(r"(?i)\b(www)\.")
_LIST_BEGINNING = re.compile(r"^(\s*\d*)([.+-])(?=\s|[.+-]|$)")


def format_count(number: int, singular: str, plural: str | None = None) -> str:
    """Return a number with its noun.

    Example:
        >>> format_count(1, "study", "studies"), format_count(3, "trial")
        ('1 study', '3 trials')
    """
    return f"{number} {singular if number == 1 else plural or f'{singular}s'}"


def format_ordinal(number: int) -> str:
    """Return a number as an ordinal.

    Example:
        >>> format_ordinal(2), format_ordinal(11), format_ordinal(23)
        ('2nd', '11th', '23rd')
    """
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if 10 <= number % 100 <= 20 else suffix}"


def format_state_counts(counts: Mapping[str, int]) -> str:
    """Return how many trials ended how; interrupted ones only if there are any.

    Example:
        >>> format_state_counts({"complete": 4, "pruned": 1, "failed": 0, "interrupted": 0})
        '4 complete, 1 pruned, 0 failed'
    """
    shown = {name: number for name, number in counts.items() if number or name != "interrupted"}
    return ", ".join(f"{number} {name}" for name, number in shown.items())


def format_values(objectives: Objectives, values: Values) -> str:
    """Return a trial's values with the names of their metrics."""
    pairs = zip(objectives.each, values, strict=True)
    return ", ".join(
        f"{escape_line(objective.metric)} {format_metric(value)}" for objective, value in pairs
    )


def format_metric(value: float) -> str:
    """Return a measured value with about four digits.

    Example:
        >>> format_metric(0.98765), format_metric(26506), format_metric(1234.5)
        ('0.9877', '26,506', '1234')
    """
    if float(value).is_integer() and abs(value) >= 10:
        return f"{int(value):,}"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.4g}"


def format_param(value: Any) -> str:
    """Return a hyperparameter's value as safe text."""
    return f"{value:.3g}" if isinstance(value, float) else escape_line(str(value))


def escape_markdown(text: str, limit: int = _MAX_MARKDOWN_CHARACTERS) -> str:
    """Return a text that Markdown shows as it is, in one line, cut to a limit.

    For what MLflow's pages show. Letters, digits and harmless punctuation stay as they are;
    everything else in ASCII becomes an entity, so no link, element, emphasis, code or table cell
    can begin or end in it.

    Example:
        >>> escape_markdown("<b>*x*</b>")
        '&#60;b&#62;&#42;x&#42;&#60;&#47;b&#62;'
    """
    line = escape_line(scrub_secrets(text))
    if len(line) > limit:
        line = f"{line[: limit - 1]}…"
    escaped = _MARKUP.sub(lambda found: f"&#{ord(found[0])};", line)
    # "www.x" becomes a link; a number with a period, or a dash, at the beginning a list.
    escaped = _LINK_BEGINNING.sub(r"\1&#46;", escaped)
    return _LIST_BEGINNING.sub(lambda found: f"{found[1]}&#{ord(found[2])};", escaped)


def join_or(names: Sequence[str]) -> str:
    """Return names in a row.

    Example:
        >>> join_or(["trial 1", "trial 2", "trial 3"])
        'trial 1, trial 2 or trial 3'
    """
    return _join(names, "or")


def join_and(names: Sequence[str]) -> str:
    """Return names in a row, as `join_or`, with "and" before the last."""
    return _join(names, "and")


def _join(names: Sequence[str], word: str) -> str:
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last


def format_with_margin(value: float, margin: float | None, *, is_signed: bool = True) -> str:
    """Return a value with half of its interval, both to the second digit of that half.

    Args:
        value: the value.
        margin: half of its interval; None if it is not known.
        is_signed: whether a positive value has its sign.

    Example:
        >>> format_with_margin(-0.1884, 0.1523)
        '-0.19 ± 0.15'
    """
    sign = "+" if is_signed else ""
    if margin is None or not math.isfinite(margin) or margin <= 0:
        text = f"{value:{sign}.3g}"
        return text if margin is None else f"{text} ± {margin:.2g}"
    # Rounded first: 0.0996 is 0.10.
    digits = max(0, 1 - math.floor(math.log10(float(f"{margin:.1e}"))))
    if digits > _MOST_DIGITS:
        return f"{value:{sign}.3g} ± {margin:.2g}"
    rounded = round(value, digits) or 0.0  # no negative zero
    return f"{rounded:{sign}.{digits}f} ± {margin:.{digits}f}"


def sparkline(values: list[float]) -> str:
    """Return a curve as a row of bars.

    The bars scale from the lowest to the highest value; more than 20 values are thinned out.
    """
    if not values:
        return ""
    step = -(-len(values) // _SPARKLINE_CHARACTERS)
    # Counted from the end, so that the last value is always among those that are kept.
    kept = values[(len(values) - 1) % step :: step]
    low, high = min(kept), max(kept)
    height = (high - low) or 1.0
    return "".join(_BARS[round((value - low) / height * (len(_BARS) - 1))] for value in kept)


def format_duration(seconds: float) -> str:
    """Return a duration as 1:02:03, 4:05 or 12 s."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def parse_seconds(duration: str | float, option: str) -> float:
    """Return a duration in seconds.

    Args:
        duration: a number of seconds, or a text such as 90s, 10m or 1h30m; a number without a unit
            is in seconds.
        option: name of the option for the error message, such as "--timeout".

    Raises:
        RequestError: the text is no duration, or it is not above zero.

    Example:
        >>> parse_seconds("1h30m", "--timeout")
        5400.0
    """
    seconds = math.nan
    if isinstance(duration, str):
        seconds = _parse_text(duration)
    elif isinstance(duration, int | float) and not isinstance(duration, bool):
        with contextlib.suppress(OverflowError):
            seconds = float(duration)
    if not (math.isfinite(seconds) and seconds > 0):
        raise RequestError(
            f"{option} takes a time above 0, such as 90s, 10m or 1h30m; received {duration!r}."
        )
    return seconds


def _parse_text(text: str) -> float:
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms]?)", text)
    # findall skips what it does not match: "5 minutes" must be an error, not 5 seconds.
    if "".join(number + unit for number, unit in parts) != text:
        return math.nan
    return sum(float(number) * _UNIT_SECONDS[unit or "s"] for number, unit in parts)
