"""Values of stores and journals as the plain values of records.

Texts come from users, files and stores: they may hold anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from assay.experiments.config.given_command import PATH, mask_paths
from assay.experiments.evaluation import proportions
from assay.experiments.evaluation.summaries import MeanInterval
from assay.experiments.report.records import Bounds, Interval, Value
from assay.experiments.tracking.schema import encode_text
from assay.search.system.urls import scrub_secrets

_MOST_CHARACTERS = 2_000
_MOST_ERROR_CHARACTERS = 300
_MOST_ITEMS = 1_000
# A text of TOML that begins with a path, behind the prefix of a user's own data.
_TOML_PATH = re.compile(r'"(npz:|folder:|)(?:[/~]|\.\./)(?:[^"\\\n]|\\.)*?(:\w+)?"')


def to_text(value: object, most: int = _MOST_CHARACTERS) -> str:
    """Return a text without secrets and lone surrogates, cut to a length."""
    text = encode_text(scrub_secrets(str(value)))
    return text if len(text) <= most else f"{text[: most - 3]}..."


def to_private_text(value: object, most: int = _MOST_CHARACTERS) -> str:
    """Return the same without paths outside of the current folder."""
    return to_text(mask_paths(str(value)), most)


def last_line(error: object) -> str:
    """Return the last line of an error, which says the most; empty for None."""
    lines = [] if error is None else str(error).strip().splitlines()
    return to_private_text(lines[-1].strip(), _MOST_ERROR_CHARACTERS) if lines else ""


def mask_toml(text: str) -> str:
    """Return an experiment's TOML without the folders of a user's own data and code."""
    masked = _TOML_PATH.sub(lambda found: f'"{found[1]}{PATH}{found[2] or ""}"', text)
    return encode_text(scrub_secrets(masked))


def to_finite(value: object) -> float | None:
    """Return a number; None if it is none, or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def to_count(value: object) -> int | None:
    """Return a whole number that is not negative; None for anything else."""
    number = to_finite(value)
    return int(number) if number is not None and number >= 0 and number.is_integer() else None


def to_value(value: object) -> Value:
    """Return the value of a hyperparameter."""
    match value:
        case None | bool():
            return value
        case int():
            return value if abs(value) < 2**63 else to_text(value)
        case float():
            return value if math.isfinite(value) else to_text(value)
        case list() | tuple():
            return [to_value(item) for item in value[:_MOST_ITEMS]]
        case _:
            return to_text(value)


def to_private_value(value: object) -> Value:
    """Return a value that may be a path, such as a user's own factory."""
    return to_private_text(value) if isinstance(value, str) else to_value(value)


def to_values(values: Mapping[str, Any]) -> dict[str, Value]:
    """Return values of hyperparameters by name."""
    return {to_text(name): to_value(value) for name, value in values.items()}


def to_bounds(interval: proportions.Interval | None) -> Bounds | None:
    """Return the record of an interval; None unless its ends are finite."""
    if interval is None:
        return None
    low, high = to_finite(interval.low), to_finite(interval.high)
    return None if low is None or high is None else Bounds(low=low, high=high)


def to_interval(interval: MeanInterval | None) -> Interval | None:
    """Return the record of a mean over seeds."""
    if interval is None or to_finite(interval.mean) is None:
        return None
    return Interval(
        mean=float(interval.mean),
        sd=to_finite(interval.sd),
        low=to_finite(interval.low),
        high=to_finite(interval.high),
        seeds=interval.seeds,
    )
