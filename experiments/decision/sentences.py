"""What a finalize and a comparison say in words, one sentence each.

Terminal, `--json` and notebooks show the same sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assay.experiments.decision.comparison import ConfigurationComparison
from assay.experiments.decision.load import FinalizedStudy
from assay.experiments.decision.outcome import Evaluation, Finalist
from assay.experiments.evaluation.budget import format_needed_budget, format_smallest_gap
from assay.experiments.evaluation.summaries import MeanInterval
from assay.experiments.evaluation.verdicts import ALPHA, MIN_SEEDS, Comparison, level_of_opening
from assay.experiments.formatting import format_metric, format_with_margin, join_or
from assay.experiments.terminal_text import escape_line
from assay.experiments.tracking.schema import RegisteredVersion
from assay.models.errors import RequestError
from assay.search.events import FinalizeJudged
from assay.search.objective import Objective


def to_full_record(
    evaluation: Evaluation,
    runs: Mapping[int, str],
    registered: RegisteredVersion | str | None = None,
) -> dict[str, Any]:
    """Return what `--json` prints of a finalize, with its sentences as `text`.

    Args:
        evaluation: what it found.
        runs: ids of the trainings' runs in MLflow, by their number.
        registered: the model version that it registered, or why it registered none.
    """
    return {
        **evaluation.to_record(runs),
        "text": describe_evaluation(evaluation),
        **_registration_record(registered),
    }


def _registration_record(registered: RegisteredVersion | str | None) -> dict[str, Any]:
    if isinstance(registered, RegisteredVersion):
        return {"registered": registered.to_record(), "not_registered": None}
    return {"registered": None, "not_registered": registered}


def to_study_record(
    finalized: FinalizedStudy,
    runs: Mapping[int, str],
    registered: RegisteredVersion | str | None = None,
) -> dict[str, Any]:
    """Return the same for the last finalize of a study, with all openings of its test set.

    Without its predictions it has the recorded verdicts alone, and the key `error`.
    """
    try:
        record = to_full_record(finalized.evaluate(), runs, registered)
    except RequestError as error:
        judged = finalized.verdicts
        record = {
            "finished": True,
            "leader": judged.leader,
            "finalists": [],
            "verdicts": dict(judged.verdicts),
            "text": [describe_judged(judged)],
            **_registration_record(registered),
            "error": str(error),
        }
    return {**record, "openings": finalized.openings}


def describe_judged(judged: FinalizeJudged) -> str:
    """Return one sentence about recorded verdicts."""
    others = [
        f"trial {escape_line(trial)} {escape_line(verdict)}"
        for trial, verdict in judged.verdicts.items()
        if verdict != "leader"
    ]
    return (
        f"Opening {judged.opening} found: {'; '.join([f'trial {judged.leader} leads', *others])}."
    )


def describe_evaluation(evaluation: Evaluation) -> list[str]:
    """Return what a finalize found."""
    if not evaluation.is_trained:
        ended, planned = evaluation.ended, evaluation.planned
        return [f"No configuration leads yet: {ended} of {planned} trainings have ended."]
    leader = next((one for one in evaluation.finalists if one.is_leader), None)
    if leader is None:
        return ["No configuration leads: none was trained to its end."]
    others = [one for one in evaluation.finalists if not one.is_leader]
    sentences = [
        f"Trial {leader.trial} leads: {_describe_mean(evaluation.objective)}"
        f"{_name_field([one.validation for one in evaluation.finalists])}.",
        *_describe_choice(leader, others),
    ]
    # `--json` has all comparisons; the question here is what to take.
    compared = {f"trial {one.trial}": one.comparison for one in others if one.comparison}
    for name, comparison in compared.items():
        difference = format_difference(
            comparison, evaluation.metric, in_points=evaluation.in_points
        )
        sentences.append(
            f"{name.capitalize()} is {format_verdict(comparison.verdict)} trial {leader.trial} on "
            f"the test set: {difference}; {comparison.reason}."
        )
    if evaluation.is_judged:
        sentences += _describe_unjudged(leader, others)
    return [
        *sentences,
        *_describe_chance(evaluation, leader),
        *_describe_budget(evaluation, leader),
        *list_notes(compared),
    ]


def _describe_mean(objective: Objective) -> str:
    direction = "highest" if objective.direction == "maximize" else "lowest"
    return f"its mean {escape_line(objective.metric)} over the seeds is the {direction}"


def _name_field(validation: Sequence[MeanInterval | None]) -> str:
    """Return among which configurations one leads, if it is not all of them; see `find_leader`."""
    seeds = [one.seeds for one in validation if one is not None]
    is_split = min(seeds) < MIN_SEEDS <= max(seeds)
    return f", of those with {MIN_SEEDS} complete trainings or more" if is_split else ""


def _describe_choice(leader: Finalist, others: Sequence[Finalist]) -> list[str]:
    """Return what follows for the choice of a configuration."""
    sentences = []
    if leader.configuration.is_baseline:
        sentences.append("It is a baseline: nothing that the search found has a better mean.")
    equals = _join_equals(others)
    if equals is not None:
        sentences.append(
            f"It is not separable from {equals}: this budget can't tell which is better."
        )
    return sentences


def join_equals(evaluation: Evaluation) -> str | None:
    """Return the configurations that are not separable from the leader; None if all are.

    Example:
        >>> join_equals(evaluation)
        'trial 3 or trial 15 (a baseline)'
    """
    return _join_equals(evaluation.finalists)


def _join_equals(finalists: Sequence[Finalist]) -> str | None:
    equals = [
        f"trial {one.trial}{' (a baseline)' if one.configuration.is_baseline else ''}"
        for one in finalists
        if one.verdict == "not separable"
    ]
    return join_or(equals) if equals else None


def _describe_unjudged(leader: Finalist, others: Sequence[Finalist]) -> list[str]:
    """Return why configurations have no verdict."""
    if leader.test is None:
        return [
            f"No configuration is judged: none of the networks of trial {leader.trial}, which "
            "leads, could be measured on the test set."
        ]
    return [
        f"Trial {one.trial} is not judged: none of its networks could be "
        f"{'trained to its end' if one.validation is None else 'measured on the test set'}."
        for one in others
        if one.comparison is None
    ]


def _describe_chance(evaluation: Evaluation, leader: Finalist) -> list[str]:
    chance = evaluation.chance
    if chance is None or chance.is_beaten:
        return []
    return [
        f"Trial {leader.trial} is no better on the test set than {format_metric(chance.value)}, "
        f"{chance.what}."
    ]


def _describe_budget(evaluation: Evaluation, leader: Finalist) -> list[str]:
    """Return what this budget can find, and what the gap that was named takes."""
    if evaluation.runner_up is None:
        return []
    between = f"trials {leader.trial} and {evaluation.runner_up}"
    in_points = evaluation.in_points
    sentences = [
        format_smallest_gap(
            evaluation.smallest_gap,
            between,
            comparisons=len(evaluation.comparisons),
            in_points=in_points,
        )
    ]
    if evaluation.needed is not None:
        sentences.append(format_needed_budget(evaluation.needed, in_points=in_points))
    return sentences


def describe_comparison(
    comparison: ConfigurationComparison, *, all_pairs: bool = True
) -> list[str]:
    """Return what a comparison of configurations says.

    Args:
        comparison: the comparison.
        all_pairs: whether each pair has a sentence. Without them, a table must show the verdicts.
    """
    sentences = []
    if comparison.leader is not None:
        judged = [one for one in comparison.configurations if one.test is not None]
        sentences.append(
            f"{escape_line(comparison.leader)} leads: {_describe_mean(comparison.objective)} of "
            "the configurations that were trained again"
            f"{_name_field([one.candidate.validation for one in judged])}."
        )
    for (first, second), found in comparison.comparisons.items() if all_pairs else ():
        difference = format_difference(found, comparison.metric, in_points=comparison.in_points)
        sentences.append(
            f"{escape_line(first)} is {format_verdict(found.verdict)} {escape_line(second)} on the "
            f"test set: {difference}; {found.reason}."
        )
    notes = list_notes(
        {
            f"{escape_line(first)} and {escape_line(second)}": found
            for (first, second), found in comparison.comparisons.items()
        }
    )
    sentences += [
        f"{escape_line(one.name)} is not judged: {escape_line(one.reason)}."
        for one in comparison.configurations
        if one.reason is not None and one.comparison is None
    ]
    sentences += [
        escape_line(note) for one in comparison.configurations for note in one.candidate.notes
    ]
    if comparison.comparisons and comparison.openings > 1:
        sentences.append(
            f"Verdicts are judged at {describe_level(comparison.openings)}, because a test set "
            "that was looked at before is no longer new."
        )
    if comparison.runner_up is not None:
        between = escape_line(f"{comparison.leader} and {comparison.runner_up}")
        sentences.append(
            format_smallest_gap(
                comparison.smallest_gap,
                between,
                comparisons=len(comparison.comparisons),
                in_points=comparison.in_points,
            )
        )
    return [*sentences, *notes]


def describe_level(opening: int) -> str:
    """Return the level of the verdicts of a later opening, such as "2.5 % in place of 5 %"."""
    return f"{100 * level_of_opening(opening):g} % in place of {100 * ALPHA:g} %"


def list_notes(comparisons: Mapping[str, Comparison]) -> list[str]:
    """Return what limits the verdicts, each note once.

    Args:
        comparisons: by what is compared; a note that is not about all of them names it.
    """
    names: dict[str, list[str]] = {}
    for name, comparison in comparisons.items():
        for note in comparison.notes:
            names.setdefault(note, []).append(name)
    return [
        note if len(of) == len(comparisons) else f"{note.rstrip('.')}: {', '.join(of)}."
        for note, of in names.items()
    ]


def format_verdict(verdict: str) -> str:
    """Return a verdict in the words that precede the name of the other configuration."""
    return "not separable from" if verdict == "not separable" else f"{verdict} than"


def format_difference(comparison: Comparison, metric: str, *, in_points: bool) -> str:
    """Return a difference with its 95 % interval.

    Args:
        comparison: the comparison.
        metric: name of the test metric.
        in_points: whether the metric is a share that is shown as points of 100.
    """
    scale, unit = (100.0, " points") if in_points else (1.0, "")
    if comparison.low is None or comparison.high is None:
        return f"{format_with_margin(scale * comparison.difference, None)}{unit}"
    margin = scale * (comparison.high - comparison.low) / 2
    return f"{format_with_margin(scale * comparison.difference, margin)}{unit} of {metric}"
