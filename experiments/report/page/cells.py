"""Numbers, intervals and hyperparameters, as a report shows them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from assay.experiments.formatting import (
    format_duration,
    format_metric,
    format_param,
    format_with_margin,
)
from assay.experiments.report.page.document import Badge, Table, Tone
from assay.experiments.report.records import Difference, Interval, Value

_LONGEST_VALUE = 60
_VERDICT_TONES: Mapping[str, Tone] = {"leader": "good", "better": "good", "worse": "bad"}

INTERVAL_NOTE = (
    "Intervals are 95 % t intervals of the mean over new seeds, on the same examples. Whether two "
    "of them overlap does not say which configuration is better: the verdicts do, which take into "
    "account that the test examples are a sample too."
)


def name_test_metric(metric: str) -> str:
    """Return the name of a test metric in words."""
    return {"mae": "mean absolute error"}.get(metric, metric)


def describe_metric(metric: str) -> str:
    """Return what a test metric is, in brackets."""
    return {"accuracy": " (the share of right answers)", "mae": " (smaller is better)"}.get(
        metric, ""
    )


def list_params(params: Mapping[str, Value], order: Sequence[str]) -> list[tuple[str, str]]:
    """Return hyperparameters as texts, in an order; without any of it, in their own."""
    names = [name for name in order if name in params] or list(params)
    return [(name, shorten(format_param(params[name]))) for name in names]


def join_params(params: Sequence[tuple[str, str]]) -> str:
    """Return hyperparameters in one line.

    Example:
        >>> join_params([("hidden_units", "32"), ("activation", "tanh")])
        'hidden_units=32, activation=tanh'
    """
    return ", ".join(f"{name}={value}" for name, value in params)


def shorten(text: str, most: int = _LONGEST_VALUE) -> str:
    """Return a text cut to a length."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def format_number(value: float | None) -> str:
    """Return a metric; an empty text for None."""
    return "" if value is None else format_metric(value)


def format_interval(interval: Interval | None) -> str:
    """Return a mean with its interval, such as "0.9694 [0.9652 to 0.9737]"."""
    if interval is None:
        return ""
    ends = format_range(interval.low, interval.high)
    return f"{format_metric(interval.mean)} [{ends}]" if ends else format_metric(interval.mean)


def format_range(low: float | None, high: float | None) -> str:
    """Return the ends of an interval; an end that is not known is a question mark."""
    if low is None and high is None:
        return ""
    return " to ".join("?" if end is None else format_metric(end) for end in (low, high))


def format_p_value(difference: Difference | None) -> str:
    """Return the adjusted p-value of a difference; empty without one."""
    p_value = None if difference is None else difference.p_value
    if p_value is None:
        return ""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3g}"


def format_difference(
    difference: Difference | None, *, in_points: bool, unsigned: bool = False
) -> str:
    """Return a difference with half of its 95 % interval, as finalize prints it.

    Args:
        difference: the difference.
        in_points: whether it is one of shares, shown as points of 100.
        unsigned: whether the sign is said in words.
    """
    if difference is None or difference.mean is None:
        return ""
    scale, unit = (100.0, " points") if in_points else (1.0, "")
    mean = scale * difference.mean
    value = abs(mean) if unsigned else mean
    margin = None
    if difference.low is not None and difference.high is not None:
        margin = scale * (difference.high - difference.low) / 2
    return f"{format_with_margin(value, margin, is_signed=not unsigned)}{unit}"


def format_optimism(optimism: float | None, *, in_points: bool) -> str:
    """Return by how much a search flattered."""
    if optimism is None:
        return ""
    return f"{100 * optimism:+.2f} points" if in_points else f"{optimism:+.3g}"


def format_time(seconds: float | None) -> str:
    """Return a duration; an empty text for None."""
    return "" if seconds is None else format_duration(seconds)


def capitalize(text: str) -> str:
    """Return a text with a capital letter at its beginning, and the others as they are."""
    return text[:1].upper() + text[1:]


def drop_empty_columns(table: Table) -> Table:
    """Return a table without the columns in which no row has anything."""
    kept = [place for place, _ in enumerate(table.columns) if any(row[place] for row in table.rows)]
    return dataclasses.replace(
        table,
        columns=[table.columns[place] for place in kept],
        rows=[[row[place] for place in kept] for row in table.rows],
    )


def verdict_badge(verdict: str) -> Badge:
    """Return a verdict that stands out."""
    return Badge(verdict, _VERDICT_TONES.get(verdict, "plain"))
