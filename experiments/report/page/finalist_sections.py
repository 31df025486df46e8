"""Sections about the finalists of a study: table, denominator, learning curves, errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from assay.experiments.formatting import format_count, format_metric
from assay.experiments.report.page import figures
from assay.experiments.report.page.cells import (
    INTERVAL_NOTE,
    format_difference,
    format_interval,
    format_number,
    format_optimism,
    join_params,
    shorten,
    verdict_badge,
)
from assay.experiments.report.page.document import (
    Block,
    Cell,
    Gallery,
    Paragraph,
    Picture,
    Section,
    Table,
    columns,
)
from assay.experiments.report.page.search_figures import metric_of
from assay.experiments.report.page.summary import draw_finalist_picture
from assay.experiments.report.page.view import StudyView
from assay.experiments.report.records import (
    ClassRecord,
    FinalistRecord,
    TrainingRecord,
    TrialRecord,
)

MOST_CLASS_ROWS = 60
_MOST_CONFUSIONS = 20
_MOST_EPOCH_ROWS = 12
_MOST_PNG_CHARACTERS = 400_000  # of a page; the images are in base64


def build_finalist_section(view: StudyView) -> Section:
    """Return the finalists, and of how many trials and looks they are the best."""
    study = view.study
    blocks: list[Block] = []
    if study.unfinished:
        blocks.append(Paragraph(study.unfinished, "warning"))
    if view.finalists:
        if view.leader is not None and study.pareto:
            blocks.append(draw_finalist_picture(view))
        blocks += [_finalist_table(view), Paragraph(INTERVAL_NOTE, "note")]
    elif study.openings or study.unfinished:
        blocks.append(Paragraph("No configuration that was trained again is recorded."))
    else:
        blocks.append(
            Paragraph("No configuration was trained again, and the test set was not opened.")
        )
    blocks += [*_denominator(view), *_baseline(view), _random_search(view)]
    return Section("Finalists, and what they are the best of", blocks)


def _finalist_table(view: StudyView) -> Table:
    study, finalists = view.study, view.finalists
    others = [metric_of(one) for one in view.other_objectives]
    rows: list[list[Cell]] = [
        [
            f"{one.trial}{' (baseline)' if one.baseline else ''}",
            verdict_badge(one.verdict),
            format_interval(one.test),
            format_difference(one.difference, in_points=view.is_in_points),
            format_interval(one.validation),
            format_number(one.search_value),
            format_optimism(one.optimism, in_points=study.is_share),
            *_other_values(view, one),
            join_params(view.params(one.params)),
        ]
        for one in finalists
    ]
    failed = sum(len(one.failed) for one in finalists)
    return Table(
        "Configurations that were trained again on new seeds, best validation first: it chooses "
        "the leader, the test set chooses nothing. Optimism: by how much the search flattered; "
        "negative, if the new trainings were better than that of the search. "
        "In bold: the leader." + (f" {format_count(failed, 'training')} failed." if failed else ""),
        columns(
            "trial",
            "verdict",
            f"#test {study.test_metric}",
            f"#against the leader, test {study.test_metric}",
            f"#{study.metric}, new seeds",
            f"#{study.metric} in the search",
            f"#optimism of {study.metric}",
            *(f"#{name}" for name in others),
            "hyperparameters",
        ),
        rows,
        frozenset(place for place, one in enumerate(finalists) if one.verdict == "leader"),
        stacked=True,
    )


def _other_values(view: StudyView, finalist: FinalistRecord) -> list[str]:
    """Return what the search recorded for the objectives by which nothing was chosen."""
    return [format_number(view.value_of(finalist.trial, one)) for one in view.other_objectives]


def _denominator(view: StudyView) -> Iterator[Block]:
    counts = view.study.counts
    names = ["tried", "complete", "pruned", "failed", "interrupted"]
    numbers = [view.tried, counts.complete, counts.pruned, counts.failed, counts.interrupted]
    if counts.running:
        names.append("running")
        numbers.append(counts.running)
    pruned = (
        " Pruned trials are no finalists, however good their last value." if counts.pruned else ""
    )
    yield Table(
        f"All trials by how they ended, and how often the test set was looked at.{pruned}",
        columns(*(f"#{name}" for name in names), "#openings of the test set"),
        [[*(f"{number:,}" for number in numbers), str(view.study.openings)]],
    )
    failures = Counter(one.state for one in view.trials if one.has_failed)
    if failures:
        errors = {one.state: one.error for one in view.trials if one.error}
        yield Table(
            "Failed trials by reason, with the last error of each.",
            columns("reason", "#trials", "last error"),
            [
                [shorten(state, 200), str(count), errors.get(state, "")]
                for state, count in failures.most_common(20)
            ],
            stacked=True,
        )


def _baseline(view: StudyView) -> Iterator[Block]:
    baselines = [one for one in view.trials if one.baseline]
    if not baselines:
        yield Paragraph("The experiment names no baseline.")
        return
    named = "; ".join(f"trial {one.trial}, {_end_of(one)}" for one in baselines[:5])
    yield Paragraph(f"Baseline in the search, one training: {named}.")


def _end_of(trial: TrialRecord) -> str:
    value = trial.values[0] if trial.values else None
    return trial.state if value is None else format_metric(value)


def _random_search(view: StudyView) -> Paragraph:
    study = view.study
    if study.random_search is not None:
        return Paragraph(f"Random search at equal budget. {study.random_search.sentence}")
    if study.sampler == "random":
        return Paragraph("This is a random search itself.")
    return Paragraph(
        "No random search of the same space at equal budget is part of this report, so what the "
        "sampler gained over one is not known."
    )


# Learning curves.


def build_curve_section(view: StudyView) -> Section | None:
    """Return the learning curves of the finalists; None without any."""
    study = view.study
    grouped: dict[int, list[TrainingRecord]] = {}
    for one in view.trainings:
        grouped.setdefault(one.trial, []).append(one)
    order = [one.trial for one in view.finalists]
    trainings = {trial: grouped[trial] for trial in order if trial in grouped}
    shown = dict(list(trainings.items())[: figures.MOST_CURVES])
    known = {name for group in shown.values() for one in group for name in one.curves}
    metrics = [name for name in dict.fromkeys((study.metric, "val_loss")) if name in known]
    if not metrics:
        return None
    blocks: list[Block] = [
        _curve_picture(view, metric, shown, len(trainings)) for metric in metrics
    ]
    blocks.append(_training_table(view, trainings))
    return Section("Learning curves of the finalists", blocks)


def _curve_picture(
    view: StudyView, metric: str, trainings: Mapping[int, Sequence[TrainingRecord]], total: int
) -> Picture:
    stacked = {trial: figures.stack_curves(metric, group) for trial, group in trainings.items()}
    curves = {trial: curve for trial, curve in stacked.items() if curve is not None}
    epochs = max((curve.shape[1] for curve in curves.values()), default=0)
    step = -(-epochs // _MOST_EPOCH_ROWS) or 1
    # Counted from the end, so that the last epoch is always shown.
    places = range((epochs - 1) % step, epochs, step)
    rows = [
        [
            str(place + 1),
            *(
                f"{format_metric(curve[:, place].mean())} "
                f"({format_metric(curve[:, place].min())} to "
                f"{format_metric(curve[:, place].max())})"
                if place < curve.shape[1]
                else ""
                for curve in curves.values()
            ),
        ]
        for place in places
    ]
    left_out = (
        "" if len(trainings) == total else f" The first {len(trainings)} of {total} finalists."
    )
    return Picture(
        name=view.file("curves" if metric == view.study.metric else "curves-loss"),
        caption=(
            f"{metric} by epoch: the mean over the seeds, and a band from the lowest to the "
            f"highest of them. Dotted: the mean on the training examples.{left_out}"
        ),
        alt="; ".join(
            f"trial {trial} ends at a mean {metric} of {format_metric(curve[:, -1].mean())}"
            for trial, curve in curves.items()
        ),
        svg=figures.draw_curves(view.study, metric, trainings),
        numbers=Table(
            f"{metric}: mean over the seeds (lowest to highest).",
            columns("#epoch", *(f"#trial {trial}" for trial in curves)),
            rows,
        ),
    )


def _training_table(view: StudyView, trainings: Mapping[int, Sequence[TrainingRecord]]) -> Table:
    study = view.study
    return Table(
        "All trainings of the finalists.",
        columns(
            "#trial",
            "#training",
            "#seed",
            "state",
            f"#{study.metric}",
            f"#test {study.test_metric}",
            "run in MLflow",
        ),
        [
            [
                str(one.trial),
                str(one.training),
                str(one.seed),
                one.state,
                format_number(one.validation),
                format_number(one.test.get(f"test_{study.test_metric}")),
                one.run_id or "",
            ]
            for group in trainings.values()
            for one in group
        ],
        folded=True,
    )


# Errors.


def build_error_section(view: StudyView) -> Section | None:
    """Return the errors of the leader by class, and the examples that it confuses most."""
    classes = view.classes
    blocks: list[Block] = []
    if classes:
        blocks += [_confusion_picture(view), _class_table(classes)]
    if view.examples:
        blocks.append(_gallery(view))
    return Section("Errors of the leader", blocks) if blocks else None


def _confusion_picture(view: StudyView) -> Picture:
    classes = view.classes
    chosen = figures.choose_classes(classes)
    is_whole = len(chosen) == len(classes)
    seeds = 1 if view.leader is None or view.leader.test is None else view.leader.test.seeds
    confusions = _list_confusions(classes)
    worst = "; ".join(
        f"{label} taken for {other} {format_count(count, 'time')}"
        for count, label, other in confusions[:3]
    )
    return Picture(
        name=view.file("confusion"),
        caption=(
            "Confusion matrix of the leader on the test set, in percent of each class, "
            f"{format_count(seeds, 'network')} together. Colors are those of the errors alone."
            + (
                ""
                if is_whole
                else f" The {len(chosen)} of {len(classes)} classes with most errors."
            )
        ),
        alt=f"Most frequent errors: {worst}." if worst else "No errors.",
        svg=figures.draw_confusion(classes),
        numbers=Table(
            f"The most frequent errors, {format_count(seeds, 'network')} together.",
            columns("class", "taken for", "#times"),
            [[label, other, f"{count:,}"] for count, label, other in confusions[:_MOST_CONFUSIONS]],
        ),
    )


def _list_confusions(classes: Sequence[ClassRecord]) -> list[tuple[int, str, str]]:
    found = [
        (count, one.label, classes[place].label)
        for row, one in enumerate(classes)
        for place, count in enumerate(one.predicted)
        if place != row and count
    ]
    return sorted(found, key=lambda one: -one[0])


def _class_table(classes: Sequence[ClassRecord]) -> Table:
    shown = sorted(classes, key=lambda one: one.f1)[:MOST_CLASS_ROWS]
    more = "" if len(shown) == len(classes) else f" The {len(shown)} worst of {len(classes)}."
    return Table(
        f"The leader by class on the test set: means over its seeds, the worst F1 first.{more}",
        columns("class", "#examples", "#precision", "#recall", "#recall by seed", "#F1"),
        [
            [
                one.label,
                f"{one.examples:,}",
                f"{one.precision:.3f}",
                f"{one.recall:.3f}",
                f"{one.recall_low:.3f} to {one.recall_high:.3f}",
                f"{one.f1:.3f}",
            ]
            for one in shown
        ],
        folded=len(shown) > 30,
    )


def _gallery(view: StudyView) -> Gallery:
    most = _MOST_PNG_CHARACTERS // len(view.records.report.studies)
    shown, size = [], 0
    for one in view.examples:
        size += len(one.png)
        if size <= most or not one.png:
            shown.append(one)
    left_out = len(view.examples) - len(shown)
    noun = view.study.data.noun
    caption = (
        f"Test {noun}, counted from 0, that most of the leader's networks take for another class."
    )
    if view.study.examples_note:
        caption += f" {view.study.examples_note}"
    if left_out:
        caption += f" {left_out} more are in records.jsonl."
    has_images = any(one.png for one in shown)
    return Gallery(
        view.file("examples"), caption, shown, figures.draw_examples(shown) if has_images else b""
    )
