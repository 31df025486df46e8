"""A comparison as a DataFrame, as CSV and as a LaTeX table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from assay.experiments.decision.comparison import ComparedConfiguration, ConfigurationComparison
from assay.experiments.evaluation.summaries import MeanInterval, format_interval
from assay.experiments.formatting import format_param
from assay.experiments.terminal_text import escape_line

if TYPE_CHECKING:
    import pandas

_BEFORE = ("study", "trial", "baseline")
_SUMMARIES = ("validation", "test")
_AFTER = (
    "seeds",
    *(f"{name}{suffix}" for name in _SUMMARIES for suffix in ("", "_sd", "_low", "_high")),
    *("verdict", "difference", "difference_low", "difference_high", "adjusted_p_value", "reason"),
)
# A spreadsheet takes a cell that begins so for a formula (OWASP, "CSV Injection").
_FORMULA = re.compile(r"\s*[=+\-@]|[\t\r]")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "[": "{[}",  # behind \\ it would begin an optional argument
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    '"': r"\textquotedbl{}",
    "|": r"\textbar{}",
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
}


def to_frame(comparison: ConfigurationComparison) -> pandas.DataFrame:
    """Return one row per configuration; the index `configuration` is its name.

    Columns: study, trial, baseline, each hyperparameter that differs (with "params." before its
    name where that is the name of another column), seeds, validation and test (means over the
    seeds, each with _sd and the 95 % interval _low, _high), verdict, difference (of the test
    metric from the leader's, with _low and _high), adjusted_p_value (by Holm), reason. `attrs` has
    what `--json` prints.
    """
    import pandas  # here, because it takes half a second that --help has no time for

    names = comparison.differing_params()
    columns = [*_BEFORE, *(_param_column(name) for name in names), *_AFTER]
    rows = [_row(one, names) for one in comparison.configurations]
    frame = pandas.DataFrame(rows, columns=columns, dtype=object).infer_objects()
    frame["trial"] = frame["trial"].astype("Int64")
    frame.index = pandas.Index([one.name for one in comparison.configurations], dtype=object)
    frame.index.name = "configuration"
    frame.attrs = comparison.to_record()
    return frame


def _param_column(name: str) -> str:
    return f"params.{name}" if name in (*_BEFORE, *_AFTER, "configuration") else name


def _row(one: ComparedConfiguration, names: Iterable[str]) -> dict[str, Any]:
    candidate, found = one.candidate, one.comparison
    return {
        "study": candidate.study,
        "trial": candidate.trial,
        "baseline": candidate.is_baseline,
        **{_param_column(name): candidate.params.get(name) for name in names},
        "seeds": candidate.seeds,
        **_interval_cells("validation", candidate.validation),
        **_interval_cells("test", one.test),
        "verdict": one.verdict,
        "difference": None if found is None else found.difference,
        "difference_low": None if found is None else found.low,
        "difference_high": None if found is None else found.high,
        "adjusted_p_value": None if found is None else found.adjusted_p_value,
        "reason": one.reason,
    }


def _interval_cells(name: str, interval: MeanInterval | None) -> dict[str, float | None]:
    if interval is None:
        return {}
    return {
        name: interval.mean,
        f"{name}_sd": interval.sd,
        f"{name}_low": interval.low,
        f"{name}_high": interval.high,
    }


def to_csv(comparison: ConfigurationComparison) -> str:
    """Return the DataFrame as CSV, with numbers in full precision.

    Text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    frame = to_frame(comparison)
    text = frame.reset_index().map(_defuse).rename(columns=_defuse)
    return str(text.to_csv(index=False, lineterminator="\n"))


def _defuse(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula; numbers stay as they are."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def to_latex(comparison: ConfigurationComparison) -> str:
    r"""Return the table as a LaTeX `tabular` with the rules of the package booktabs."""
    names = comparison.differing_params()
    header = [
        "Configuration",
        *names,
        "Seeds",
        comparison.objective.metric,
        f"test {comparison.metric}",
        "Verdict",
    ]
    alignment = f"l{'l' * len(names)}rlll"
    rows = [_latex_row(one, names) for one in comparison.configurations]
    lines = [
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        _latex_line([_escape_latex(name) for name in header]),
        r"\midrule",
        *map(_latex_line, rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines)


def _latex_row(one: ComparedConfiguration, names: Sequence[str]) -> list[str]:
    candidate = one.candidate
    params = (
        format_param(candidate.params[name]) if name in candidate.params else "" for name in names
    )
    verdict = f"baseline, {one.verdict}" if candidate.is_baseline else one.verdict
    return [
        _escape_latex(candidate.name),
        *map(_escape_latex, params),
        str(candidate.seeds),
        _escape_latex(format_interval(candidate.validation) or "--"),
        _escape_latex(format_interval(one.test) or "--"),
        _escape_latex(verdict),
    ]


def _latex_line(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _escape_latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in escape_line(text))
