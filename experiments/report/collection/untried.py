"""What a study did not try, in sentences that follow from its records."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from assay.experiments.formatting import format_count, format_metric, format_param
from assay.experiments.report.collection.plain import to_finite, to_private_text, to_private_value
from assay.experiments.report.collection.sources import StudySources
from assay.experiments.report.records import HyperparameterRecord
from assay.experiments.results.finalizes import configuration_key
from assay.experiments.results.frames import final_values
from assay.experiments.terminal_text import escape_line
from assay.models.errors import RequestError
from assay.search.events import INTERRUPTED_LABEL
from assay.search.importances import find_repeated_trials
from assay.search.space.grid import count_grid_values
from assay.search.storage.stored_values import STATE

_MOST_NAMED = 16
_MOST_CHOICES = 12
# Said by other sentences, or by the report's own parts.
_NOT_NAMED = ("family", "scale", "epochs")
# A hyperparameter with one of these values leaves its layer, regularizer or the like out.
_UNUSED = (None, False, 0, "none")
_AUGMENTATION = ("flip", "shift")
_IMAGE_DIMENSIONS = 3


def list_untried(
    sources: StudySources,
    hyperparameters: Sequence[HyperparameterRecord],
) -> list[str]:
    """Return what was not tried, one sentence each.

    Args:
        sources: what the stores have of the study.
        hyperparameters: its space.
    """
    return [
        *_describe_fixed(sources),
        *_describe_ranges(hyperparameters),
        *_describe_size(sources),
        *_describe_failed(sources),
        *_describe_pruned(sources),
        *_describe_decision(sources),
    ]


def _describe_fixed(sources: StudySources) -> Iterator[str]:
    fixed = sources.fingerprint.get("fixed")
    if not isinstance(fixed, dict):
        return
    used = {name: value for name, value in fixed.items() if value not in _UNUSED}
    named = [
        f"{escape_line(str(name))} = {format_param(to_private_value(value))}"
        for name, value in used.items()
        if name not in _NOT_NAMED
    ]
    if named:
        yield f"The search did not vary {_join_named(named, _MOST_NAMED)}."
    unused = [
        escape_line(str(name))
        for name in fixed
        if name not in used and name not in (*_NOT_NAMED, *_AUGMENTATION)
    ]
    if unused:
        yield f"Not used by any trial: {_join_named(unused, _MOST_NAMED)}."
    family = escape_line(to_private_text(fixed.get("family", "")))
    epochs = fixed.get("epochs")
    if family and epochs is not None:
        yield f"No other model than {family}, and no other number of epochs than {epochs}."
    shape = sources.data.get("input_shape")
    is_image = isinstance(shape, list) and len(shape) == _IMAGE_DIMENSIONS
    augmented = [name for name in _AUGMENTATION if name not in fixed or fixed[name]]
    if is_image and not augmented and sources.experiment is not None:
        yield "No augmentation of the training images."


def _describe_ranges(hyperparameters: Sequence[HyperparameterRecord]) -> Iterator[str]:
    parts = []
    for one in hyperparameters:
        name = escape_line(one.name)
        if one.low is not None and one.high is not None:
            low, high = (_format_end(end, one.integer) for end in (one.low, one.high))
            parts.append(f"{name} {low} to {high}")
        elif one.choices:
            parts.append(f"{name} {_join_named(list(map(format_param, one.choices)))}")
    if parts:
        yield f"Nothing outside of the space: {'; '.join(parts)}."


def _join_named(names: Sequence[str], most: int = _MOST_CHOICES) -> str:
    """Return names in a row; of many the first ones, and how many others there are."""
    others = len(names) - most
    more = f" and {format_count(others, 'other')}" if others > 0 else ""
    return f"{', '.join(names[:most])}{more}"


def _format_end(end: float, is_integer: bool) -> str:
    return str(int(end)) if is_integer else f"{end:.6g}"


def _describe_size(sources: StudySources) -> Iterator[str]:
    """Yield how much of a space of finitely many configurations was tried."""
    experiment = sources.experiment
    if experiment is None or not experiment.space:
        return
    # With conditions the product counts configurations that do not exist.
    if any(parameter.when for parameter in experiment.space.values()):
        return
    try:
        counts = [count_grid_values(name, one) for name, one in experiment.space.items()]
    except RequestError:  # a continuous range
        return
    size = math.prod(counts)
    tried = len(
        {
            configuration_key(dict(trial.params))
            for trial in sources.trials
            if trial.state.name in ("COMPLETE", "PRUNED")
        }
    )
    if math.isfinite(size) and tried < size:
        total = f"{size:,.0f}" if size < 1e9 else f"{size:.1g}"
        yield f"Of {total} configurations of the space, {tried} were tried."


def _describe_failed(sources: StudySources) -> Iterator[str]:
    """Yield how many configurations gave no result.

    A trial that was interrupted, or that failed and was retried, is done again by another one with
    the same configuration.
    """
    failed = [trial for trial in sources.trials if trial.state.name == "FAIL"]
    repeated = find_repeated_trials(sources.trials)
    last = [trial for trial in failed if trial.number not in repeated]
    interrupted = sum(trial.user_attrs.get(STATE) == INTERRUPTED_LABEL for trial in last)
    lost = len(last) - interrupted
    if lost:
        yield f"{format_count(lost, 'configuration')} gave no result: training failed."
    if interrupted:
        was = "was" if interrupted == 1 else "were"
        yield f"{format_count(interrupted, 'configuration')} {was} interrupted, and not done again."
    count = len(failed) - len(last)
    if count:
        yield (
            f"{format_count(count, 'trial')} {'was' if count == 1 else 'were'} interrupted "
            "or failed, and tried again with the same configuration."
        )


def _describe_pruned(sources: StudySources) -> Iterator[str]:
    """Yield the pruned trials whose last value reaches the best one: they are no finalists."""
    best, objective = sources.best_search_score, sources.objectives.single
    if best is None or objective is None:
        return
    reached = []
    for trial in sources.trials:
        if trial.state.name != "PRUNED":
            continue
        values = final_values(trial, sources.history.trials.get(trial.number), sources.objectives)
        value = to_finite(values[0]) if values else None
        if value is not None and not objective.is_better(best, than=value):
            reached.append(trial.number)
    if reached:
        is_one = len(reached) == 1
        yield (
            f"{'Trial' if is_one else 'Trials'} {_join_named(list(map(str, reached)))} "
            f"{'was' if is_one else 'were'} pruned at a {escape_line(objective.metric)} as good as "
            f"the best, {format_metric(best)}, or better: pruned trials are no finalists."
        )


def _describe_decision(sources: StudySources) -> Iterator[str]:
    record = sources.finalize_record
    if record is None:
        yield (
            "No configuration was trained again on fresh seeds, and the test set was not used to "
            "judge any."
        )
    elif not record.plan.splits:
        yield "No other split into training and validation examples than this one."
