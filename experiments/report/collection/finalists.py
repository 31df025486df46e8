"""Records of what finalize trained again: finalists, their trainings, classes of the leader."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from assay.experiments.decision.files import predictions_file
from assay.experiments.decision.finalists import judged_objective
from assay.experiments.decision.outcome import (
    TEST_METRIC,
    Finalist,
    average_validation,
    group_by_finalist,
    label_failures,
)
from assay.experiments.decision.testing import build_class_report
from assay.experiments.evaluation.summaries import mean_interval
from assay.experiments.evaluation.verdicts import Comparison
from assay.experiments.report.collection.plain import (
    to_bounds,
    to_count,
    to_finite,
    to_interval,
    to_private_text,
    to_text,
    to_values,
)
from assay.experiments.report.collection.sources import StudySources
from assay.experiments.report.records import (
    ClassRecord,
    Difference,
    FinalistRecord,
    Interval,
    TrainingRecord,
)
from assay.experiments.results.finalizes import Training
from assay.models.data import Array
from assay.models.worker.testing import read_predictions
from assay.search.events import FinalistConfiguration


def collect_finalists(sources: StudySources) -> Iterator[FinalistRecord]:
    """Yield the configurations of the last finalize that has verdicts."""
    record = sources.finalize_record
    if record is None:
        return
    trainings = group_by_finalist(record)
    if sources.evaluation is not None:
        for one in sources.evaluation.finalists:
            yield _from_evaluation(sources, one, trainings.get(one.trial, ()))
        return
    # Without the predictions: what the journal has.
    assert sources.finalized is not None
    verdicts = sources.finalized.verdicts
    for configuration in record.plan.finalists:
        trial = configuration.trial
        default = "leader" if trial == verdicts.leader else "not judged"
        yield _from_journal(
            sources,
            configuration,
            trainings.get(trial, ()),
            verdict=verdicts.verdicts.get(str(trial), default),
        )


def _from_evaluation(
    sources: StudySources, finalist: Finalist, trainings: Sequence[Training]
) -> FinalistRecord:
    return FinalistRecord(
        study=to_text(sources.name),
        trial=finalist.trial,
        baseline=finalist.configuration.is_baseline,
        params=to_values(finalist.configuration.searched),
        search_value=to_finite(finalist.configuration.search_value),
        validation=to_interval(finalist.validation),
        test=to_interval(finalist.test),
        generalization=to_bounds(finalist.generalization),
        optimism=to_finite(finalist.optimism),
        verdict=finalist.verdict,
        difference=to_difference(finalist.comparison),
        failed=tuple(map(to_private_text, finalist.failed)),
        parameters=_parameters(trainings),
        epoch_seconds=_epoch_seconds(trainings),
    )


def _from_journal(
    sources: StudySources,
    configuration: FinalistConfiguration,
    trainings: Sequence[Training],
    verdict: str,
) -> FinalistRecord:
    objective = judged_objective(sources.objectives)
    validation = to_interval(average_validation(trainings, sources.objectives, objective))
    search_value = to_finite(configuration.search_value)
    optimism = None
    if validation is not None and search_value is not None:
        gap = search_value - validation.mean
        optimism = gap if objective.direction == "maximize" else -gap
    return FinalistRecord(
        study=to_text(sources.name),
        trial=configuration.trial,
        baseline=configuration.is_baseline,
        params=to_values(configuration.searched),
        search_value=search_value,
        validation=validation,
        test=_recorded_test(sources, trainings),
        optimism=optimism,
        verdict=to_text(verdict),
        difference=None,
        failed=tuple(map(to_private_text, label_failures(trainings))),
        parameters=_parameters(trainings),
        epoch_seconds=_epoch_seconds(trainings),
    )


def _recorded_test(sources: StudySources, trainings: Sequence[Training]) -> Interval | None:
    """Return the test metric over the seeds as the workers measured it."""
    name = f"test_{TEST_METRIC[sources.task]}"
    values = [
        value
        for training in trainings
        if training.tested is not None
        and (value := to_finite(training.tested.metrics.get(name))) is not None
    ]
    return to_interval(mean_interval(values)) if values else None


def to_difference(comparison: Comparison | None) -> Difference | None:
    """Return the record of a comparison with the leader."""
    if comparison is None:
        return None
    return Difference(
        mean=to_finite(comparison.difference),
        low=to_finite(comparison.low),
        high=to_finite(comparison.high),
        p_value=to_finite(comparison.adjusted_p_value),
        reason=to_text(comparison.reason),
    )


def _parameters(trainings: Sequence[Training]) -> int | None:
    ends = (training.end.metrics for training in trainings if training.end is not None)
    counts = (to_count(metrics.get("parameters")) for metrics in ends)
    return next((count for count in counts if count is not None), None)


def _epoch_seconds(trainings: Sequence[Training]) -> float | None:
    seconds = [
        seconds
        for training in trainings
        for epoch in training.epochs
        if (seconds := to_finite(epoch.seconds)) is not None
    ]
    return statistics.median(seconds) if seconds else None


def collect_trainings(sources: StudySources) -> Iterator[TrainingRecord]:
    """Yield the trainings of the last finalize that has verdicts."""
    record = sources.finalize_record
    if record is None:
        return
    runs = sources.result.finalist_runs
    objective = judged_objective(sources.objectives)
    index = sources.objectives.each.index(objective)
    for number, training in sorted(record.trainings.items()):
        end, finalist = training.end, training.begun.finalist
        if finalist is None:
            continue
        values = () if end is None else end.values
        tested = {} if training.tested is None else training.tested.metrics
        run_id = runs.get(number)
        yield TrainingRecord(
            study=to_text(sources.name),
            trial=finalist,
            training=number,
            seed=training.begun.seed,
            state="running" if end is None else to_text(end.label),
            validation=to_finite(values[index]) if index < len(values) else None,
            test={
                to_text(name): measured
                for name, value in tested.items()
                if (measured := to_finite(value)) is not None
            },
            curves=_curves(training),
            run_id=None if run_id is None else str(run_id),
        )


def _curves(training: Training) -> Mapping[str, tuple[float | None, ...]]:
    names = dict.fromkeys(name for epoch in training.epochs for name in epoch.metrics)
    return {
        to_text(name): tuple(to_finite(epoch.metrics.get(name)) for epoch in training.epochs)
        for name in names
    }


def read_leader_predictions(sources: StudySources) -> tuple[Array, Array] | None:
    """Return what the leader's networks predict on the test set.

    Returns:
        Predictions (networks, examples, ...) and targets (examples, ...); None without a leader
        whose predictions can be read.
    """
    evaluation, record = sources.evaluation, sources.finalize_record
    if evaluation is None or record is None or sources.finalized is None:
        return None
    found = []
    targets = None
    for training in group_by_finalist(record).get(evaluation.leader or 0, ()):
        if training.tested is None or training.tested.error is not None:
            continue
        try:
            file = predictions_file(sources.finalized.folder, training.begun.trial)
            predictions, targets = read_predictions(file)
        except (OSError, ValueError, KeyError):
            return None
        found.append(predictions)
    if targets is None or len({predictions.shape for predictions in found}) != 1:
        return None
    return np.stack(found), targets


def collect_classes(sources: StudySources) -> Iterator[ClassRecord]:
    """Yield precision, recall, F1 and confusions of each class, over the leader's networks."""
    classes = sources.data.get("classes")
    read = read_leader_predictions(sources) if sources.task == "classification" else None
    if read is None or not isinstance(classes, list) or not classes:
        return
    predictions, targets = read
    reports = [build_class_report(one, targets, classes) for one in predictions]
    confusion = np.sum([report["confusion_matrix"] for report in reports], axis=0)
    for label, name in enumerate(classes):
        recalls = [report["recall"][label] for report in reports]
        yield ClassRecord(
            study=to_text(sources.name),
            label=to_text(name),
            examples=int(reports[0]["examples"][label]),
            precision=statistics.fmean(report["precision"][label] for report in reports),
            recall=statistics.fmean(recalls),
            f1=statistics.fmean(report["f1"][label] for report in reports),
            recall_low=min(recalls),
            recall_high=max(recalls),
            predicted=tuple(int(count) for count in confusion[label]),
        )
