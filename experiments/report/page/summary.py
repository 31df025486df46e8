"""The first screen of a study: question, answer, how sure, and the figure that shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from assay.experiments.formatting import (
    format_count,
    format_metric,
    format_state_counts,
    join_and,
    join_or,
)
from assay.experiments.report.page import figures, search_figures
from assay.experiments.report.page.cells import (
    capitalize,
    describe_metric,
    format_difference,
    format_interval,
    format_number,
    format_optimism,
    format_time,
    join_params,
    name_test_metric,
    shorten,
)
from assay.experiments.report.page.document import Badge, Code, Picture, Summary, Table, columns
from assay.experiments.report.page.question import (
    Answer,
    answer_question,
    describe_isolation,
    format_value_in_question,
)
from assay.experiments.report.page.search_figures import metric_of, with_value
from assay.experiments.report.page.view import StudyView
from assay.experiments.report.records import (
    Bounds,
    Difference,
    FinalistRecord,
    Interval,
    StudyRecord,
)

_MOST_NAMED = 3


def summarize(view: StudyView) -> Summary:
    """Return the first screen of a study."""
    if view.leader is not None:
        return _summarize_final(view, view.leader)
    if view.study.pareto:
        return _summarize_front(view)
    if view.best is not None:
        return _summarize_search(view)
    return _summarize_nothing(view)


def _ask(study: StudyRecord) -> str:
    family, data = shorten(study.family), shorten(study.data.name)
    if study.question is not None:
        return (
            f"Which {shorten(study.question)} is best for {family} on {data}, whatever else is "
            "chosen, and how sure is that?"
        )
    return f"Which configuration of {family} is best for {data}, and how sure is that?"


# Finalized.


def _summarize_final(view: StudyView, leader: FinalistRecord) -> Summary:
    study = view.study
    assert leader.test is not None
    value = format_metric(leader.test.mean)
    examples = name_test_examples(study)
    measured = f"{value} {name_test_metric(study.test_metric)} on {examples}."
    named = [
        "the baseline" if leader.baseline else "",
        format_value_in_question(view, leader.params),
    ]
    known = ", ".join(filter(None, named))
    name = f"Trial {leader.trial}{f' ({known})' if known else ''}"
    answer = answer_question(view, leader)
    headline = _answer_configuration(view) if answer is None else answer.text
    explanation = [
        "" if headline is None else f"{name} leads: {measured}",
        describe_intervals(leader.test, leader.generalization),
        "" if len(view.finalists) > 1 else "Nothing else was trained again.",
    ]
    return Summary(
        status=_decide_question(view, answer),
        question=_ask(study),
        answer=headline or f"{name}: {measured}",
        configuration=view.params(leader.params),
        explanation=" ".join(filter(None, explanation)),
        certainty=list(_explain_final(view, leader)),
        facts=[
            (
                f"{shorten(study.metric)} in the search",
                format_number(leader.search_value) or "none",
            ),
            (
                f"optimism of {shorten(study.metric)}",
                format_optimism(leader.optimism, in_points=study.is_share) or "unknown",
            ),
            *_list_facts(view, leader),
        ],
        picture=draw_front_picture(view) if study.pareto else draw_finalist_picture(view),
    )


def _answer_configuration(view: StudyView) -> str | None:
    """Return which configurations are not separable from the leader; None if all are."""
    tied = [one for one in view.finalists if one.verdict == "not separable"]
    if view.leader is None or not tied:
        return None
    names = [
        f"trial {one.trial}{' (the baseline)' if one.baseline else ''}"
        for one in (view.leader, *tied)
    ]
    return f"Not decided between {join_some(names)}."


def join_some(names: Sequence[str]) -> str:
    """Return names in a row; of many, the first ones and how many others there are.

    Example:
        >>> join_some(["a", "b", "c", "d", "e"])
        'a, b and 3 others'
    """
    if len(names) <= _MOST_NAMED + 1:
        return join_and(names)
    return f"{', '.join(names[: _MOST_NAMED - 1])} and {len(names) - _MOST_NAMED + 1} others"


def _decide_question(view: StudyView, answer: Answer | None) -> Badge:
    """Return how decided the question of a study is; without one, the choice of a configuration."""
    badge = decide_badge(
        [
            (f"trial {one.trial}", one.verdict, "the baseline" if one.baseline else "")
            for one in view.finalists
        ]
    )
    if answer is None:
        return badge
    if answer.is_decided:
        return Badge(f"decided for {shorten(view.study.question or '')}", "good")
    if badge.tone == "good":
        return Badge("tested on new seeds: not every value was tested", "open")
    return badge


def name_test_examples(study: StudyRecord) -> str:
    """Return what a study was measured on, such as "the 10,000 test images"."""
    count = study.data.test_examples
    return "the test set" if count is None else f"the {count:,} test {study.data.noun}"


def decide_badge(verdicts: Sequence[tuple[str, str, str]]) -> Badge:
    """Return how decided a comparison on the test set is.

    Args:
        verdicts: name and verdict of each configuration, the leader too, and what else it is, such
            as "the baseline"; empty for nothing.
    """
    same = [
        f"{name} ({role})" if role else name
        for name, verdict, role in verdicts
        if verdict == "not separable"
    ]
    if len(same) > _MOST_NAMED:
        same = [*same[: _MOST_NAMED - 1], f"{len(same) - _MOST_NAMED + 1} more"]
    if same:
        return Badge(f"tested on new seeds: not separable from {join_or(same)}", "open")
    if any(verdict == "better" for _, verdict, _ in verdicts):
        return Badge("tested on new seeds: another is better on the test set", "open")
    if any(verdict == "not judged" for _, verdict, _ in verdicts) or len(verdicts) == 1:
        return Badge("tested on new seeds: not compared with everything", "open")
    return Badge("decided: better than all others on the test set", "good")


def describe_intervals(test: Interval, generalization: Bounds | None) -> str:
    """Return what a mean is of, and where it lies on new seeds and other examples.

    The figure and the tables have the interval over seeds alone.

    Args:
        test: the mean over seeds.
        generalization: where it lies on new seeds and new examples; None if it is not known.
    """
    if test.low is None or test.high is None:
        return "This is one network, so its spread over seeds is not known."
    low, high, on = test.low, test.high, "on these same examples"
    if generalization is not None:
        low, high, on = generalization.low, generalization.high, "on other examples like these"
    return (
        f"That is the mean of {format_count(test.seeds, 'network')} from different seeds. What the "
        f"configuration is worth on average over new seeds, {on}, lies between "
        f"{format_metric(low)} and {format_metric(high)} (95 % interval)."
    )


def describe_verdicts(
    named: Sequence[tuple[str, str, Difference | None]], *, in_points: bool
) -> Iterator[str]:
    """Yield what the leader was told apart from, in a sentence for each verdict.

    Args:
        named: name, verdict and difference of each configuration, the leader too.
        in_points: whether differences are points of 100.
    """
    # A verdict is about the other one: the leader is better than what is worse.
    for verdict, word in (("worse", "better"), ("better", "worse")):
        others = [
            f"{name} by {format_difference(difference, in_points=in_points, unsigned=True)}"
            for name, found, difference in named
            if found == verdict
        ]
        if len(others) > _MOST_NAMED + 1:
            others = [*others[:_MOST_NAMED], f"{len(others) - _MOST_NAMED} more (see the table)"]
        if others:
            yield f"It is {word} than {', than '.join(others)}."


def _explain_final(view: StudyView, leader: FinalistRecord) -> Iterator[str]:
    study = view.study
    if study.data.note:
        yield study.data.note
    if study.unfinished:
        yield study.unfinished
    yield from study.decision
    yield from describe_isolation(view)
    if study.openings > 1:
        yield (
            f"The test set was opened {format_count(study.openings, 'time')}: a later opening is "
            "judged at a stricter level."
        )
    yield from _explain_front(view, leader)
    if leader.failed:
        yield f"{format_count(len(leader.failed), 'training')} of the leader failed."


def _explain_front(view: StudyView, leader: FinalistRecord) -> Iterator[str]:
    """Yield what the other objectives say of the finalists; nothing with one objective."""
    study = view.study
    if len(study.objectives) < 2:
        return
    front = [one for one in study.pareto if one in view.finalist_numbers]
    yield (
        f"Trial {leader.trial} leads by {shorten(study.metric)} alone. "
        f"{len(front)} of {format_count(len(study.pareto), 'trial')} on the Pareto front "
        f"{'was' if len(front) == 1 else 'were'} trained again."
    )
    for one in view.finalists:
        if one.verdict != "not separable":
            continue
        better = []
        for objective in view.other_objectives:
            value, of_best = (
                view.value_of(trial, objective) for trial in (one.trial, leader.trial)
            )
            if _is_better(objective, value, of_best):
                ends = f"{format_number(value)} against {format_number(of_best)}"
                better.append(f"{shorten(metric_of(objective))} {ends}")
        if better:
            yield (
                f"Trial {one.trial} is not separable from trial {leader.trial} on the test set, "
                f"and better in another objective: {', '.join(better)}."
            )


def _is_better(objective: str, value: float | None, other: float | None) -> bool:
    if value is None or other is None:
        return False
    return value > other if objective.startswith("maximize") else value < other


def _list_facts(view: StudyView, leader: FinalistRecord | None) -> Iterator[tuple[str, str]]:
    study = view.study
    yield "trials", f"{view.tried:,}"
    if leader is not None and leader.parameters is not None:
        yield "parameters", f"{leader.parameters:,}"
    yield "test set opened", format_count(study.openings, "time") if study.openings else "never"
    if view.seconds is not None:
        yield name_time([view]), format_time(view.seconds)


def name_time(views: Sequence[StudyView]) -> str:
    """Return what a time of studies is of."""
    is_searched = all(view.study.costs.finalize is None for view in views)
    return "search" if is_searched else "search and finalize"


def draw_finalist_picture(view: StudyView) -> Picture:
    """Return the figure of the finalists."""
    study = view.study
    measured = [one for one in view.finalists if one.test is not None]
    is_comparable = figures.has_search_scores(study, measured)
    diamonds = f" Diamonds: {study.metric} in the search." if is_comparable else ""
    return Picture(
        name=view.file("finalists"),
        caption=(
            f"{capitalize(name_test_metric(study.test_metric))} on the test set"
            f"{describe_metric(study.test_metric)}: mean over the seeds, its 95 % interval "
            f"over new seeds, and each seed below it.{diamonds} Blue leads, grey is not separable "
            "from it or was not judged, vermillion is worse, green is better."
        ),
        alt="; ".join(
            f"trial {one.trial}: {format_interval(one.test)}, {one.verdict}" for one in measured
        ),
        svg=figures.draw_finalists(study, view.finalists, view.trainings),
        numbers=Table(
            f"Finalists, test {study.test_metric}.",
            columns(
                "#trial",
                f"#{study.metric} in the search",
                f"#test {study.test_metric}",
                "#seeds",
                "verdict",
            ),
            [
                [
                    str(one.trial),
                    format_number(one.search_value),
                    format_interval(one.test),
                    "" if one.test is None else str(one.test.seeds),
                    one.verdict,
                ]
                for one in measured
            ],
        ),
    )


# Not finalized.


def _summarize_search(view: StudyView) -> Summary:
    study, best = view.study, view.best
    assert best is not None
    examples = study.data.validation_examples
    validation = "" if examples is None else f"{examples:,} "
    value = format_number(best.values[0] if best.values else None)
    return Summary(
        status=Badge("not finalized: the score of a search", "open"),
        question=_ask(study),
        answer=f"Not decided. The search's best is trial {best.trial}: {study.metric} {value}.",
        configuration=view.params(best.params),
        explanation=(
            f"This is the score of the search: one training, the best of "
            f"{format_count(view.tried, 'trial')}, chosen on these {validation}validation "
            f"{study.data.noun}. Such a score flatters. To decide, train the best again on new "
            "seeds and open the test set:"
        ),
        certainty=[*_list_open(study), *study.claim, *describe_isolation(view)],
        facts=list(_list_facts(view, None)),
        picture=draw_history_picture(view),
        code=_next_step(study),
    )


def _summarize_front(view: StudyView) -> Summary:
    study = view.study
    names = [shorten(metric_of(one)) for one in study.objectives]
    front = len(study.pareto)
    return Summary(
        status=Badge("not finalized: the front of a search", "open"),
        question=f"Which configurations trade {' against '.join(names)} best?",
        answer=f"{front} of {format_count(view.tried, 'trial')} are on the Pareto front.",
        configuration=[],
        explanation=(
            "None of them is beaten in every objective by another trial. Their scores are those of "
            f"the search: one training each, chosen on these validation {study.data.noun}. To "
            "decide, train the best again on new seeds and open the test set:"
        ),
        certainty=[*_list_open(study), *study.claim],
        facts=list(_list_facts(view, None)),
        picture=draw_front_picture(view),
        code=_next_step(study),
    )


def _list_open(study: StudyRecord) -> Iterator[str]:
    if study.data.note:
        yield study.data.note
    if study.unfinished:
        yield study.unfinished
    yield from study.decision


def _next_step(study: StudyRecord) -> Code | None:
    found = (one.line for one in study.commands if one.purpose == "finalize")
    line = next(found, None)
    return None if line is None else Code(line, language="sh")


def _summarize_nothing(view: StudyView) -> Summary:
    study, trials = view.study, view.trials
    failures = Counter(one.state for one in trials if one.has_failed)
    errors = [one for one in trials if one.error]
    counts = study.counts.model_dump()
    if failures:
        state, count = failures.most_common(1)[0]
        answer = f"No answer: none of {format_count(len(trials), 'trial')} was trained to its end."
        reason = shorten(state.partition(": ")[2] or state, 200)
        explanation = (
            f"The most frequent reason is '{reason}': {count} of "
            f"{format_count(len(trials), 'trial')}."
        )
        of_state = [one for one in errors if one.state == state] or errors
    else:
        answer = "No answer: no trial is complete."
        explanation = f"So far: {format_state_counts(counts)}." if trials else "No trial was run."
        of_state = errors
    code = None
    if of_state:
        code = Code(of_state[-1].error, f"The last error of trial {of_state[-1].trial}.")
    return Summary(
        status=Badge("no result", "bad"),
        question=_ask(study),
        answer=answer,
        configuration=[],
        explanation=explanation,
        certainty=[*_list_open(study), *(one.text for one in study.checks if one.fired)],
        certainty_title="What the checks found",
        facts=list(_list_facts(view, None)),
        picture=_draw_endings_picture(view) if trials else None,
        code=code,
    )


def _draw_endings_picture(view: StudyView) -> Picture:
    states = Counter(one.state for one in view.trials).most_common()
    return Picture(
        name=view.file("endings"),
        caption="How the trials ended.",
        alt="; ".join(f"{state}: {count}" for state, count in states[:8]),
        svg=search_figures.draw_endings(view.trials),
        numbers=Table(
            "Trials by their state.",
            columns("state", "#trials"),
            [[state, str(count)] for state, count in states[:30]],
        ),
    )


# Figures of the search that may stand on the first screen.


def draw_history_picture(view: StudyView) -> Picture | None:
    """Return the history of a study; None if no trial has a value."""
    study = view.study
    if not with_value(view.trials, "complete", "pruned"):
        return None
    metric = metric_of(study.objectives[0])
    counts = format_state_counts(study.counts.model_dump(exclude={"running"}))
    best = view.best
    found = (
        ""
        if best is None or not best.values
        else f" The best, {format_number(best.values[0])}, is trial {best.trial}."
    )
    return Picture(
        name=view.file("history"),
        caption=(
            f"{metric} of each trial in the order of the search, each trained once ({counts}). The "
            "line is the best so far. All values are in the table of the trials."
        ),
        alt=f"History of {format_count(view.tried, 'trial')}.{found}",
        svg=search_figures.draw_history(study, view.trials, view.finalist_numbers),
    )


def draw_front_picture(view: StudyView) -> Picture:
    """Return the Pareto front of a study with several objectives."""
    study = view.study
    names = [metric_of(one) for one in study.objectives]
    front = [one for one in view.trials if one.trial in study.pareto]
    shown = "; ".join(
        f"trial {one.trial}: {', '.join(map(format_number, one.values))}" for one in front[:8]
    )
    return Picture(
        name=view.file("front"),
        caption=(
            f"Complete trials by {' and '.join(names)}, each trained once. Blue: the Pareto front, "
            "with the numbers of its trials."
        ),
        alt=f"Pareto front of {' and '.join(names)}. {shown}",
        svg=search_figures.draw_front(study, view.trials),
        numbers=Table(
            "The Pareto front.",
            columns("#trial", *(f"#{name}" for name in names), "hyperparameters"),
            [
                [
                    str(one.trial),
                    *map(format_number, one.values),
                    join_params(view.params(one.params)),
                ]
                for one in front
            ],
        ),
    )
