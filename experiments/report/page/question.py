"""The answer to the question of a search: which value of one hyperparameter is best.

What finalize trained again answers it, and nothing else: the best of a search for each value rests
on one training each, and a sampler tries the values unequally often.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from assay.experiments.formatting import (
    format_count,
    format_metric,
    format_param,
    join_and,
    join_or,
)
from assay.experiments.report.page.cells import shorten
from assay.experiments.report.page.view import StudyView
from assay.experiments.report.records import FinalistRecord, IsolationRecord, Value

_NOT_USED = "(not used)"
_FEW_TRIALS = 5


def value_in_question(view: StudyView, params: Mapping[str, Value]) -> str:
    """Return a configuration's value of the hyperparameter in question; empty without a question.

    Example:
        >>> value_in_question(view, {"activation": "tanh", "hidden_units": 64})
        'tanh'
    """
    question = view.study.question
    if question is None:
        return ""
    return shorten(format_param(params[question])) if question in params else _NOT_USED


def answer_question(view: StudyView, leader: FinalistRecord) -> str | None:
    """Return which value is best, as far as finalize tells; None without a question.

    Args:
        view: a study that was finalized.
        leader: its leader.
    """
    if view.study.question is None:
        return None
    best = value_in_question(view, leader.params)
    tied, worse = _split_others(view, best)
    untested = _list_untested(view, {best, *tied, *worse})
    if not tied and not worse:
        others = f", not {join_or(untested)}" if untested else ""
        return f"Not decided: {best} alone was trained again{others}."
    absent = ""
    if untested:
        absent = f"{join_and(untested)} {'was' if len(untested) == 1 else 'were'} not trained again"
    if tied:
        return f"Not decided between {join_and([best, *tied])}{'; ' if absent else ''}{absent}."
    if absent:
        return f"Not decided: {best} is better than {join_and(worse)}, but {absent}."
    return f"{best}: better than {join_and(worse)}, as far as the finalists tell."


def _split_others(view: StudyView, best: str) -> tuple[list[str], list[str]]:
    """Return the other values of finalists: those that may be as good, and those that are worse."""
    verdicts: dict[str, list[str]] = {}
    for one in view.finalists:
        value = value_in_question(view, one.params)
        if value != best:
            verdicts.setdefault(value, []).append(one.verdict)
    worse = [value for value, each in verdicts.items() if set(each) == {"worse"}]
    return [value for value in verdicts if value not in worse], worse


def _list_untested(view: StudyView, tested: set[str]) -> list[str]:
    """Return the choices that no finalist has; of a range there is none to name."""
    name = view.study.question
    space = next((one for one in view.space if one.name == name), None)
    choices = [] if space is None else [shorten(format_param(one)) for one in space.choices]
    return [choice for choice in choices if choice not in tested]


def describe_isolation(view: StudyView) -> Iterator[str]:
    """Yield what the search has for each value, and random search of the same space beside it."""
    study = view.study
    if study.question is None or not view.isolations:
        return
    yield (
        f"Best {study.metric} of the search for each {shorten(study.question)}, each trained once: "
        f"{_join_groups(view.isolations)}.{_warn_of_few(view.isolations)}"
    )
    random = study.random_search
    others = [] if random is None else view.records.of(IsolationRecord, random.study)
    if random is not None and others and others[0].name == study.question:
        yield f"The same of random search ({random.study}): {_join_groups(others)}."


def _join_groups(groups: Sequence[IsolationRecord]) -> str:
    ordered = sorted(groups, key=lambda one: -one.trials)
    return ", ".join(
        f"{shorten(one.group)} {format_metric(one.best)} "
        f"({format_count(one.trials, 'complete trial') if place == 0 else one.trials})"
        for place, one in enumerate(ordered)
    )


def _warn_of_few(groups: Sequence[IsolationRecord]) -> str:
    few = [shorten(one.group) for one in groups if one.trials < _FEW_TRIALS]
    if not few:
        return ""
    return f" With so few trials, the search says little about {join_or(few)}."
