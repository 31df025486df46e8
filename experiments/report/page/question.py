"""The answer to the question of a search: which value of one hyperparameter is best.

What finalize trained again answers it, and nothing else: the best of a search for each value rests
on one training each, and a sampler tries the values unequally often.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

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

_FEW_TRIALS = 5


@dataclass(frozen=True)
class Answer:
    """The answer to a declared question.

    Attributes:
        text: the answer in one line.
        is_decided: whether the value of the leader is better than every other one that the search
            may try.
    """

    text: str
    is_decided: bool


def format_value_in_question(view: StudyView, params: Mapping[str, Value]) -> str:
    """Return a configuration's value of the hyperparameter in question.

    Returns:
        The value; an empty text without a question, and if the configuration does not use it.

    Example:
        >>> format_value_in_question(view, {"activation": "tanh", "hidden_units": 64})
        'tanh'
    """
    question = view.study.question
    if question is None or question not in params:
        return ""
    return shorten(format_param(params[question]))


def answer_question(view: StudyView, leader: FinalistRecord) -> Answer | None:
    """Return which value is best, as far as finalize tells; None without a question.

    Args:
        view: a study that was finalized.
        leader: its leader.
    """
    if view.study.question is None:
        return None
    best = _key_of(view, leader.params)
    verdicts: dict[str, set[str]] = {}
    for one in view.finalists:
        key = _key_of(view, one.params)
        if key != best:
            verdicts.setdefault(key, set()).add(one.verdict)
    worse = [key for key, found in verdicts.items() if found == {"worse"}]
    tied = [key for key in verdicts if key not in worse]
    choices = _list_choices(view)
    untested = [key for key in choices or () if key not in (best, *verdicts)]
    names = _name_keys([best, *verdicts, *untested])
    if choices is None:
        absent = "other values of the range were not tested"
    elif untested:
        were = "was" if len(untested) == 1 else "were"
        absent = f"{join_and([names[key] for key in untested])} {were} not tested"
    else:
        absent = ""
    return _word_answer(
        names[best], [names[key] for key in tied], [names[key] for key in worse], absent
    )


def _word_answer(best: str, tied: Sequence[str], worse: Sequence[str], absent: str) -> Answer:
    if tied:
        end = f"; {absent}" if absent else ""
        return Answer(f"Not decided between {join_and([best, *tied])}{end}.", False)
    if not worse:
        end = f"; {absent}" if absent else ""
        return Answer(f"Not decided: {best} alone was tested{end}.", False)
    if absent:
        return Answer(f"Not decided: {best} is better than {join_and(worse)}, but {absent}.", False)
    return Answer(f"{best}: better than {join_and(worse)}, as far as the finalists tell.", True)


def _key_of(view: StudyView, params: Mapping[str, Value]) -> str:
    """Return a value as a key: what is shown of two different values may be the same."""
    assert view.study.question is not None
    if view.study.question not in params:
        return ""  # no JSON
    return json.dumps(params[view.study.question])


def _list_choices(view: StudyView) -> list[str] | None:
    """Return the keys of all choices of the hyperparameter in question; None of a range."""
    space = next((one for one in view.space if one.name == view.study.question), None)
    if space is None or not space.choices:
        return None
    return [json.dumps(choice) for choice in space.choices]


def _name_keys(keys: Sequence[str]) -> dict[str, str]:
    """Return what is shown of each value: with all digits, if two would look the same."""
    short = {key: shorten(format_param(json.loads(key))) if key else "no value" for key in keys}
    shown = list(short.values())
    return {key: name if shown.count(name) == 1 else key for key, name in short.items()}


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
