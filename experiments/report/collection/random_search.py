"""A study beside random search of the same space, at equal budget."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import FrozenTrial

from assay.experiments.formatting import format_count, format_duration, format_metric
from assay.experiments.report.collection.plain import to_finite, to_text
from assay.experiments.report.collection.sources import StudySources, train_seconds
from assay.experiments.report.records import RandomSearch
from assay.experiments.terminal_text import escape_line

_COUNTED = ("COMPLETE", "PRUNED")


def is_random(sources: StudySources) -> bool:
    """Return whether all trials of a study come from random search."""
    return list(sources.samplers) == ["random"]


def compare_with_random(
    sources: StudySources, others: Sequence[StudySources]
) -> RandomSearch | None:
    """Return random search of the same space, data and objective, at equal budget.

    Args:
        sources: the study.
        others: the other studies of the report.

    Returns:
        The first of them that is one; None without one, of a random study itself, and of one with
        several objectives.
    """
    if is_random(sources) or sources.objectives.single is None:
        return None
    for other in others:
        if is_random(other) and sources.is_comparable(other):
            return _compare(sources, other)
    return None


def _compare(sources: StudySources, other: StudySources) -> RandomSearch | None:
    mine = _counted(sources)
    theirs = _counted(other)[: len(mine)]
    if not mine:
        return None
    seconds = [train_seconds(other.history.trials.get(trial.number)) for trial in theirs]
    own_seconds = [train_seconds(sources.history.trials.get(trial.number)) for trial in mine]
    own_total = _total(own_seconds)
    best, own_best = _best(other, theirs), _best(sources, mine)
    return RandomSearch(
        study=to_text(other.name),
        trials=len(theirs),
        best=best,
        train_seconds=_total(seconds),
        sentence=to_text(
            _describe(sources, other, len(mine), len(theirs), own_best, best)
            + _describe_shared(mine, theirs)
            + _describe_pruned(mine, theirs)
            + _describe_time(other, own_total)
            + _describe_differences(sources, other)
        ),
    )


def _counted(sources: StudySources) -> list[FrozenTrial]:
    """Return the trials that a budget of trials counts: complete and pruned ones."""
    return [trial for trial in sources.trials if trial.state.name in _COUNTED]


def _best(sources: StudySources, trials: Sequence[FrozenTrial]) -> float | None:
    values = [
        value
        for trial in trials
        if trial.state.name == "COMPLETE" and (value := to_finite(trial.values[0])) is not None
    ]
    pick = max if sources.objectives.each[0].direction == "maximize" else min
    return pick(values) if values else None


def _total(seconds: Sequence[float | None]) -> float | None:
    known = [one for one in seconds if one is not None]
    return sum(known) if len(known) == len(seconds) and known else None


def _describe(
    sources: StudySources,
    other: StudySources,
    mine: int,
    theirs: int,
    own_best: float | None,
    best: float | None,
) -> str:
    name, metric = escape_line(other.name), escape_line(sources.objectives.each[0].metric)
    short = "" if theirs == mine else f", of {mine} here"
    head = f"The first {format_count(theirs, 'trial')} of random search ({name}{short})"
    if best is None or own_best is None:
        return f"{head} can't be compared: one of the two has no complete trial."
    difference = own_best - best
    better = difference if sources.objectives.each[0].direction == "maximize" else -difference
    relation = "the same"
    if better:
        relation = f"{format_metric(abs(better))} {'better' if better > 0 else 'worse'} here"
    return (
        f"{head} reach a {metric} of {format_metric(best)}, this study {format_metric(own_best)}: "
        f"{relation}, each trained once, so this may be luck."
    )


def _describe_shared(mine: Sequence[FrozenTrial], theirs: Sequence[FrozenTrial]) -> str:
    """Return how many trials at the beginning are the same: baselines, and a sampler's first draws.

    A sampler that learns draws its first trials at random, from the same seed.
    """
    same = 0
    for one, other in zip(mine, theirs, strict=False):
        if one.params != other.params:
            break
        same += 1
    if not same:
        return ""
    first = "The first trial is" if same == 1 else f"The first {same} trials are"
    return f" {first} the same in both."


def _describe_pruned(mine: Sequence[FrozenTrial], theirs: Sequence[FrozenTrial]) -> str:
    """Return how many trials of the two were pruned: those cost less than a whole training."""
    here, there = (sum(one.state.name == "PRUNED" for one in each) for each in (mine, theirs))
    if not here and not there:
        return ""
    return (
        f" Here {here} of {format_count(len(mine), 'trial')} {'was' if here == 1 else 'were'} "
        f"pruned, there {there} of {len(theirs)}. A pruned trial takes less time than a whole "
        "training, so equal numbers of trials are not equal times."
    )


def _describe_time(other: StudySources, budget: float | None) -> str:
    """Return what random search reaches in the training time of the study."""
    if budget is None:
        return ""
    used, within = 0.0, list[FrozenTrial]()
    counted = _counted(other)
    for trial in counted:
        seconds = train_seconds(other.history.trials.get(trial.number))
        if seconds is None or used + seconds > budget:
            break
        used += seconds
        within.append(trial)
    best = _best(other, within)
    # With all its trials used, what it would have reached in the rest of the time is not known.
    if best is None or len(within) == len(counted):
        return ""
    return (
        f" In the training time of this study, {format_duration(budget)}, it trains "
        f"{format_count(len(within), 'trial')} and reaches {format_metric(best)}."
    )


def _describe_differences(sources: StudySources, other: StudySources) -> str:
    """Return what else differs between the two."""
    texts = []
    for tag, what in (("assay.pruner", "pruner"), ("assay.backend", "backend")):
        mine, theirs = sources.provenance.get(tag), other.provenance.get(tag)
        if mine is not None and theirs is not None and mine != theirs:
            texts.append(f"the {what} {theirs} in place of {mine}")
    return f" Random search ran with {' and '.join(texts)}." if texts else ""
