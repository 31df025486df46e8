"""Sections about the search of a study: history, space, importance, and what may be expected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from assay.experiments.formatting import format_count, format_metric, format_param
from assay.experiments.report.page import search_figures
from assay.experiments.report.page.cells import format_number, format_range, join_params, shorten
from assay.experiments.report.page.document import (
    Block,
    Paragraph,
    Picture,
    Section,
    Table,
    columns,
)
from assay.experiments.report.page.search_figures import choose_lines, metric_of, with_value
from assay.experiments.report.page.summary import draw_history_picture
from assay.experiments.report.page.view import StudyView
from assay.experiments.report.records import (
    EffectRecord,
    HyperparameterRecord,
    ImportanceRecord,
    TrialRecord,
)

MOST_TRIAL_ROWS = 100
"""Trials of a table that has all of them."""

BEST_TRIAL_ROWS = 50
"""Trials of a table that has the best ones, because there are too many."""


def build_search_section(view: StudyView) -> Section | None:
    """Return the trials of a search; None without any."""
    if not view.trials:
        return None
    study = view.study
    blocks: list[Block] = []
    is_history_shown = view.leader is None and not study.pareto and view.best is not None
    history = None if is_history_shown else draw_history_picture(view)
    if history is not None:
        blocks.append(history)
    if view.space and len(choose_lines(study, view.trials)) > 1:
        blocks.append(_parallel_picture(view))
    blocks += [_trial_table(view), _space_table(view.space)]
    return Section("The search", blocks)


def _parallel_picture(view: StudyView) -> Picture:
    study, lines = view.study, choose_lines(view.study, view.trials)
    known = len(with_value(view.trials, "complete", "pruned"))
    left_out = ""
    if len(lines) < known:
        left_out = (
            f" Of {known:,} trials with a value, the best {search_figures.BEST_LINES} and an even "
            "sample of the others."
        )
    best = lines[-1]
    is_marked = best.trial == study.best
    metric = metric_of(study.objectives[0])
    name = "best" if is_marked else f"best by {metric} alone"
    return Picture(
        name=view.file("parallel"),
        caption=(
            "Each line is a trial, from top to bottom through its hyperparameters, each on the "
            f"scale on which it was searched, to its {metric}: the darker, the better; thin "
            "lines were pruned."
            + (" Orange: the best." if is_marked else "")
            + f"{left_out} All values are in the table of the trials."
        ),
        alt=(
            f"Parallel coordinates of {format_count(len(lines), 'trial')}. The {name}, trial "
            f"{best.trial}: {join_params(view.params(best.params))}."
        ),
        svg=search_figures.draw_parallel(study, view.space, view.trials, view.finalist_numbers),
    )


def _trial_table(view: StudyView) -> Table:
    trials, study = view.trials, view.study
    names = [one.name for one in view.space]
    metrics = [metric_of(one) for one in study.objectives]
    shown: Sequence[TrialRecord] = trials
    caption = f"All {format_count(len(trials), 'trial')}."
    if len(trials) > MOST_TRIAL_ROWS:
        shown = choose_lines(study, trials)[: -BEST_TRIAL_ROWS - 1 : -1]
        caption = (
            f"The best {len(shown)} of {format_count(len(trials), 'trial')}; records.jsonl has all."
        )
    rows = [
        [
            str(one.trial),
            shorten(one.state),
            *([*map(format_number, one.values), *[""] * len(metrics)][: len(metrics)]),
            *(
                shorten(format_param(one.params[name])) if name in one.params else ""
                for name in names
            ),
            str(one.epochs),
            "" if one.train_seconds is None else f"{one.train_seconds:.1f}",
        ]
        for one in shown
    ]
    marked = {study.best, *study.pareto}
    if any(one.trial in marked for one in shown):
        caption += f" In bold: {'the Pareto front' if study.pareto else 'the best'}."
    return Table(
        caption,
        columns(
            "#trial",
            "state",
            *(f"#{name}" for name in metrics),
            *(f"#{name}" for name in names),
            "#epochs",
            "#seconds",
        ),
        rows,
        frozenset(place for place, one in enumerate(shown) if one.trial in marked),
        folded=True,
    )


def _space_table(space: Sequence[HyperparameterRecord]) -> Table:
    rows = []
    for one in space:
        if one.choices:
            values = shorten(", ".join(map(format_param, one.choices)), 300)
        else:
            step = "" if one.step in (None, 1) else f", step {one.step:g}"
            values = f"{_format_end(one.low)} to {_format_end(one.high)}{step}"
        kind = "choices" if one.choices else "whole numbers" if one.integer else "numbers"
        scale = "logarithmic" if one.log else "" if one.choices else "linear"
        rows.append([one.name, kind, values, scale, one.when])
    return Table(
        "The space that was searched.",
        columns("hyperparameter", "kind", "values", "scale", "when"),
        rows,
        folded=True,
    )


def _format_end(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"


# What matters.


def build_matter_section(view: StudyView) -> Section | None:
    """Return the question of the search, importance, effects, and the best value to expect."""
    blocks: list[Block] = [
        *_isolation_blocks(view),
        *_importance_blocks(view),
        *_expected_best_blocks(view),
    ]
    # Reasons why something is not shown first, so that the figures stand side by side.
    blocks.sort(key=lambda block: isinstance(block, Picture))
    return Section("What matters", blocks) if blocks else None


def _isolation_blocks(view: StudyView) -> Iterator[Block]:
    study, groups = view.study, view.isolations
    if study.question is None:
        return
    if not groups:
        yield Paragraph(f"Too few complete trials to isolate {study.question}.")
        return
    name = groups[0].name
    yield Picture(
        name=view.file("isolation"),
        caption=(
            f"The question of this search: the best {study.metric} for each {name}, whatever else "
            "was chosen (in brackets: complete trials). The 95 % interval is that of this one "
            "network on new examples, corrected for having been chosen among the trials with this "
            "value. More trials of a value make its best look better."
        ),
        alt="; ".join(f"{one.group}: {format_metric(one.best)}" for one in groups),
        svg=search_figures.draw_isolation(study, groups),
        numbers=Table(
            f"Best {study.metric} for each {name}.",
            columns(name, "#complete trials", "#best", "#95 % interval", "#trial"),
            [
                [
                    one.group,
                    str(one.trials),
                    format_metric(one.best),
                    format_range(one.low, one.high),
                    str(one.trial),
                ]
                for one in groups
            ],
        ),
    )


def _importance_blocks(view: StudyView) -> Iterator[Block]:
    for number, objective in enumerate(view.study.objectives):
        metric = metric_of(objective)
        shares = [one for one in view.importances if one.metric == metric]
        # With a number, because a metric may hold what a name of a file can't.
        suffix = "" if number == 0 else f"-{number + 1}"
        if metric in view.study.importance:
            yield Paragraph(f"Importance for {metric}: {view.study.importance[metric]}.")
        if any(one.passed is not False for one in shares):
            yield _importance_picture(view, metric, shares, suffix)
        effects: dict[str, list[EffectRecord]] = {}
        for one in view.effects:
            if one.metric == metric:
                effects.setdefault(one.name, []).append(one)
        if effects:
            yield _effect_picture(view, metric, effects, suffix)


def _importance_picture(
    view: StudyView, metric: str, shares: Sequence[ImportanceRecord], suffix: str
) -> Picture:
    if shares[0].evaluator == "ranks":
        caption = (
            f"Importance for {metric}: share of the variance of the ranks of complete trials that "
            "each hyperparameter explains by itself, with its 95 % interval. Pale: not told from "
            "chance by a permutation test."
        )
    else:
        caption = f"Importance for {metric} by {shares[0].evaluator}, an estimate without a test."
    return Picture(
        name=view.file(f"importance{suffix}"),
        caption=caption,
        alt="; ".join(
            f"{one.name} {one.share:.0%}{'' if one.passed is not False else ' (not shown)'}"
            for one in shares
        ),
        svg=search_figures.draw_importance(shares),
        numbers=Table(
            f"Importance for {metric}.",
            columns("hyperparameter", "#share", "#95 % interval", "#p", "effect shown"),
            [
                [
                    one.name,
                    f"{one.share:.3f}",
                    ""
                    if one.low is None or one.high is None
                    else f"{one.low:.3f} to {one.high:.3f}",
                    "" if one.p_value is None else f"{one.p_value:.3f}",
                    {True: "yes", False: "no", None: "no test"}[one.passed],
                ]
                for one in shares
            ],
        ),
    )


def _effect_picture(
    view: StudyView, metric: str, effects: dict[str, list[EffectRecord]], suffix: str
) -> Picture:
    left_out = len(effects) - search_figures.MOST_EFFECTS
    return Picture(
        name=view.file(f"effects{suffix}"),
        caption=(
            f"Mean {metric} of the complete trials in each group, with one standard deviation of "
            f"them (in brackets: their number; hollow: one trial).{_explain_choice(view)}"
            + (f" {left_out} more are in the table." if left_out > 0 else "")
        ),
        alt="; ".join(
            f"{name}: {', '.join(f'{one.group} {format_metric(one.mean)}' for one in groups)}"
            for name, groups in list(effects.items())[:6]
        ),
        svg=search_figures.draw_effects(effects, metric),
        numbers=Table(
            f"Effects on {metric}.",
            columns("hyperparameter", "group", "#complete trials", "#mean", "#standard deviation"),
            [
                [
                    one.name,
                    one.group,
                    str(one.trials),
                    format_metric(one.mean),
                    format_number(one.sd),
                ]
                for groups in effects.values()
                for one in groups
            ],
        ),
    )


def _explain_choice(view: StudyView) -> str:
    if view.is_independent:
        return ""
    return (
        " The sampler chose what to try, so this is what was observed, and no proof that a "
        "hyperparameter matters."
    )


def _expected_best_blocks(view: StudyView) -> Iterator[Block]:
    study, points = view.study, view.expected_best
    if study.expected_best:
        yield Paragraph(study.expected_best)
    if not points:
        return
    last = points[-1]
    yield Picture(
        name=view.file("expected-best"),
        caption=study.expected_best_note,
        alt=(
            f"The best of {last.trials} random trials has a median of {format_metric(last.median)}."
        ),
        svg=search_figures.draw_expected_best(study, points),
        numbers=Table(
            "The best value to expect of a number of random trials.",
            columns("#trials", "#median", "#95 % band"),
            [
                [str(one.trials), format_metric(one.median), format_range(one.low, one.high)]
                for one in points
            ],
        ),
    )
