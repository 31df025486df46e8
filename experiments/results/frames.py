"""A study as tables: a row a trial, a row an epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assay.experiments.results.history import History, TrialHistory
from assay.search.objective import Objectives, Values
from assay.search.space import Configuration

if TYPE_CHECKING:
    import pandas
    from optuna.trial import FrozenTrial

COST_COLUMNS = ("train_seconds", "epoch_seconds", "parameters", "peak_memory_bytes")
EPOCH_COLUMNS = (
    "restored_epoch",
    "resumed_epoch",
)  # whose weights were kept in the end, and after which it went on
_MEASURED = frozenset({*COST_COLUMNS, *EPOCH_COLUMNS})
_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}


def searched(trial: FrozenTrial, history: History) -> Configuration:
    """Return what was searched, as the journal has it: Optuna has the texts of choices that are
    lists.
    """
    known = history.trials.get(trial.number)
    return dict(trial.params if known is None else known.begun.searched)


def trial_frame(
    trials: Sequence[FrozenTrial], history: History, objectives: Objectives, runs: Mapping[int, str]
) -> pandas.DataFrame:
    """Return a row for each trial, as `StudyResult.trials` describes it."""
    rows = [_row(trial, history, objectives, runs.get(trial.number)) for trial in trials]
    names = dict.fromkeys(name for trial in trials for name in searched(trial, history))
    metrics = dict.fromkeys(objective.metric for objective in objectives.each)
    epochs = [name for name in EPOCH_COLUMNS if any(row.get(name) is not None for row in rows)]
    last = ("seed", "origin", "epochs", *COST_COLUMNS, *epochs, "error", "run_id")
    columns = dict.fromkeys(("state", *metrics, *names, *last))
    frame = _frame(rows, list(columns))
    frame.index = _numbers([trial.number for trial in trials])
    return frame


def epoch_frame(history: History) -> pandas.DataFrame:
    """Return a row for each epoch, as `StudyResult.epochs` describes it."""
    ended = [epoch for number in sorted(history.trials) for epoch in history.trials[number].epochs]
    metrics = dict.fromkeys(name for epoch in ended for name in epoch.metrics)
    rows = [
        {"trial": epoch.trial, "epoch": epoch.epoch, **epoch.metrics, "seconds": epoch.seconds}
        for epoch in ended
    ]
    return _frame(rows, ["trial", "epoch", *metrics, "seconds"])


def finalist_frame(objectives: Objectives) -> pandas.DataFrame:
    """Return the columns of `StudyResult.finalists`."""
    return _frame([], ["trial", "seed", *(objective.metric for objective in objectives.each)])


def _row(
    trial: FrozenTrial, history: History, objectives: Objectives, run_id: str | None
) -> dict[str, Any]:
    from assay.search.study_record import ORIGIN, SEED, STATE  # here, because it imports Optuna

    known = history.trials.get(trial.number)
    values = _values(trial, known, objectives) or ()
    end = None if known is None else known.end
    return {
        **(
            {}
            if end is None
            else {name: value for name, value in end.metrics.items() if name in _MEASURED}
        ),
        "seed": trial.user_attrs.get(SEED),
        "origin": trial.user_attrs.get(ORIGIN) if known is None else known.begun.origin,
        "epochs": trial.last_step if known is None else len(known.epochs),
        "error": None if end is None else end.error,
        "run_id": run_id,
        **searched(trial, history),
        "state": trial.user_attrs.get(STATE) or _STATES[trial.state.name],
        **{
            objective.metric: value
            for objective, value in zip(objectives.each, values, strict=False)
        },
    }


def _values(
    trial: FrozenTrial, known: TrialHistory | None, objectives: Objectives
) -> Values | None:
    """Return what a trial that is complete or pruned had reached at its end."""
    if trial.state.name not in ("COMPLETE", "PRUNED"):
        return None
    if trial.values is not None:
        return tuple(trial.values)
    if known is None or known.end is None or not known.epochs:
        return None
    return objectives.values({**known.epochs[-1].metrics, **known.end.metrics})


def _numbers(numbers: Sequence[int]) -> pandas.Index:
    import pandas  # here, because it takes half a second that no other command should wait for

    return pandas.Index(numbers, dtype="int64", name="trial")


def _frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pandas.DataFrame:
    """Return rows as a table whose whole numbers stay whole where some are missing."""
    import pandas  # here for the same reason

    frame = pandas.DataFrame(list(rows), columns=list(columns), dtype=object)
    for name in columns:
        present = [value for row in rows if (value := row.get(name)) is not None]
        whole = bool(present) and all(
            isinstance(value, int) and not isinstance(value, bool) for value in present
        )
        frame[name] = (
            frame[name].astype("Int64")
            if whole and len(present) < len(rows)
            else frame[name].infer_objects()
        )
    return frame
