"""The network that finalize registers: which one it is, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from assay.experiments.decision.outcome import Evaluation, Finalist
from assay.experiments.decision.sentences import describe_evaluation, join_equals
from assay.experiments.evaluation.summaries import MeanInterval
from assay.experiments.evaluation.verdicts import level_of_opening
from assay.experiments.formatting import (
    escape_markdown,
    format_count,
    format_metric,
    format_ordinal,
    format_param,
)
from assay.experiments.results.finalizes import FinalizeRecord, Training
from assay.experiments.terminal_text import escape_line
from assay.experiments.tracking.schema import TRAINING_TAG, TRIAL_TAG, RegisteredVersion
from assay.search.events import Registration
from assay.search.objective import Objectives

_MAX_DESCRIPTION_CHARACTERS = 3500
"""Of our part of a description: MLflow takes 5,000, and how to use the network follows."""


def choose_network(
    record: FinalizeRecord, evaluation: Evaluation, objectives: Objectives
) -> Training | None:
    """Return the training of the leader that is best on validation; None if there is none.

    The test set chooses nothing. Of equals, the first is chosen.

    Args:
        record: the finalize.
        evaluation: what it found.
        objectives: of the study.
    """
    leader = _find_leader(evaluation)
    if leader is None:
        return None
    index = objectives.each.index(evaluation.objective)
    sign = -1.0 if evaluation.objective.direction == "maximize" else 1.0
    trainings = [record.trainings[number] for number in leader.trainings]
    return min(
        trainings,
        key=lambda one: (sign * _validation_value(one, index), one.begun.trial),
        default=None,
    )


def describe_network(
    study: str, evaluation: Evaluation, training: Training, objectives: Objectives
) -> Registration:
    """Return the registration of a network of the leader, with its description and tags.

    Args:
        study: name of the study.
        evaluation: what finalize found.
        training: the training that made the network.
        objectives: of the study.
    """
    leader = _find_leader(evaluation)
    assert leader is not None
    index = objectives.each.index(evaluation.objective)
    value = _validation_value(training, index)
    tested = {} if training.tested is None else training.tested.metrics
    metric = f"test_{evaluation.metric}"
    rows = [
        (evaluation.objective.metric, value, leader.validation),
        (metric, tested.get(metric), leader.test),
    ]
    text = "\n".join(
        [*_describe_origin(study, evaluation, leader, training, value), "", *_table(rows, leader)]
    )
    return Registration(
        training=training.begun.trial,
        description=_with_sentences(text, evaluation),
        tags=_tags(evaluation, leader, training, rows),
    )


def format_registration(
    registered: RegisteredVersion | str | None, evaluation: Evaluation | None
) -> str | None:
    """Return one line about what finalize registered; None if there is nothing to say.

    Args:
        registered: the version, or why there is none.
        evaluation: what the same finalize found; None if it is not known.
    """
    if registered is None:
        return None
    if isinstance(registered, str):
        return f"not registered: {escape_line(registered)}"
    line = (
        f"registered: {escape_line(registered.uri)} (version {registered.version}, trial "
        f"{registered.trial}, training {registered.training})"
    )
    equals = None
    if evaluation is not None and registered.opening == evaluation.opening:
        equals = join_equals(evaluation)
    if equals is None:
        return line
    return f"{line}; trial {registered.trial} is not separable from {equals}"


def _find_leader(evaluation: Evaluation) -> Finalist | None:
    return next((one for one in evaluation.finalists if one.is_leader), None)


def _validation_value(training: Training, index: int) -> float:
    assert training.end is not None
    return float(training.end.values[index])


def _describe_origin(
    study: str, evaluation: Evaluation, leader: Finalist, training: Training, value: float
) -> Iterator[str]:
    networks = len(leader.trainings)
    metric = escape_markdown(evaluation.objective.metric)
    differ = "seeds and validation splits" if evaluation.splits else "seeds"
    best = "highest" if evaluation.objective.direction == "maximize" else "lowest"
    baseline = ", a baseline" if leader.configuration.is_baseline else ""
    yield (
        f"The leader of the study {escape_markdown(study)}: trial {leader.trial}{baseline}, "
        f"training {training.begun.trial}."
    )
    yield ""
    if networks == 1:
        yield "It is the only network of this configuration that was trained to its end."
    else:
        yield (
            f"It is one of {networks} networks of this configuration, which differ in their "
            f"{differ} alone. Validation chose it: its {metric}, {format_metric(value)}, is the "
            f"{best}. The test set chose nothing, and what is said below of the configuration "
            "holds for the mean of its networks, not for this one."
        )
    searched = ", ".join(
        f"{name} {format_param(found)}" for name, found in leader.configuration.searched.items()
    )
    yield ""
    yield f"Searched: {escape_markdown(searched)}"


_Row = tuple[str, float | None, MeanInterval | None]


def _table(rows: Sequence[_Row], leader: Finalist) -> Iterator[str]:
    yield f"| | this network | mean of {leader.seeds} | its 95 % interval |"
    yield "| --- | --- | --- | --- |"
    for name, value, interval in rows:
        own = "" if value is None else format_metric(float(value))
        mean, ends = "", ""
        if interval is not None:
            mean = format_metric(interval.mean)
            if interval.low is not None and interval.high is not None:
                ends = f"{format_metric(interval.low)} to {format_metric(interval.high)}"
        yield f"| {escape_markdown(name)} | {own} | {mean} | {ends} |"
    yield ""
    yield "Intervals are for new seeds on the same examples."


def _with_sentences(text: str, evaluation: Evaluation) -> str:
    """Return a description followed by what finalize found, as far as there is room."""
    examples = format_count(evaluation.examples or 0, "test example")
    lines = [
        text,
        "",
        f"**What finalize found** ({examples}, {format_ordinal(evaluation.opening)} opening of the "
        f"test set, verdicts at {100 * level_of_opening(evaluation.opening):g} %)",
        "",
    ]
    size = sum(len(line) + 1 for line in lines)
    for sentence in describe_evaluation(evaluation):
        line = f"- {escape_markdown(sentence)}"
        size += len(line) + 1
        if size > _MAX_DESCRIPTION_CHARACTERS:
            lines.append("- ... (the report has the rest)")
            break
        lines.append(line)
    return "\n".join(lines)[:_MAX_DESCRIPTION_CHARACTERS]


def _tags(
    evaluation: Evaluation, leader: Finalist, training: Training, rows: Sequence[_Row]
) -> dict[str, str]:
    tags = {
        TRIAL_TAG: str(leader.trial),
        TRAINING_TAG: str(training.begun.trial),
        "assay.seeds": str(leader.seeds),
        "assay.baseline": "yes" if leader.configuration.is_baseline else "no",
    }
    kinds = (f"assay.validation.{evaluation.objective.metric}", f"assay.test.{evaluation.metric}")
    for kind, (name, value, interval) in zip(kinds, rows, strict=True):
        if value is not None:
            tags[f"assay.network.{name}"] = f"{value:.6g}"
        if interval is not None:
            tags[kind] = f"{interval.mean:.6g}"
        if interval is not None and interval.low is not None and interval.high is not None:
            tags |= {f"{kind}.low": f"{interval.low:.6g}", f"{kind}.high": f"{interval.high:.6g}"}
    equals = join_equals(evaluation)
    if equals is not None:
        tags["assay.not_separable_from"] = equals
    return tags
