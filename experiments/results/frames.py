"""Pandas tables of trials and epochs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assay.experiments.results.finalizes import FinalizeRecord, Training
from assay.search.history import StudyHistory, TrialHistory
from assay.search.objective import Objectives, Values
from assay.search.space import Configuration

if TYPE_CHECKING:
    import pandas
    from optuna.trial import FrozenTrial

    from assay.search.importances import ImportanceReport

COST_COLUMNS = ("train_seconds", "epoch_seconds", "parameters", "peak_memory_bytes")
EPOCH_COLUMNS = ("restored_epoch", "resumed_epoch")
"""The epoch whose weights early stopping kept, and the one after which a checkpoint resumed."""

_MEASURED = frozenset({*COST_COLUMNS, *EPOCH_COLUMNS})
_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}


def searched_params(trial: FrozenTrial, history: StudyHistory) -> Configuration:
    """Return the searched hyperparameters of a trial."""
    # The journal first: of choices that are lists, Optuna only has the text.
    recorded = history.trials.get(trial.number)
    return dict(trial.params if recorded is None else recorded.begun.searched)


def build_trial_frame(
    trials: Sequence[FrozenTrial],
    history: StudyHistory,
    objectives: Objectives,
    run_ids: Mapping[int, str],
) -> pandas.DataFrame:
    """Return one row per trial, with the columns of `StudyResult.trials`.

    Args:
        trials: as Optuna has them.
        history: as the journals have them.
        objectives: of the study.
        run_ids: the trials' runs in MLflow, by trial number.
    """
    rows = [_trial_row(trial, history, objectives, run_ids.get(trial.number)) for trial in trials]
    names = dict.fromkeys(name for trial in trials for name in searched_params(trial, history))
    metrics = dict.fromkeys(objective.metric for objective in objectives.each)
    epochs = [name for name in EPOCH_COLUMNS if any(row.get(name) is not None for row in rows)]
    last = ("seed", "origin", "epochs", *COST_COLUMNS, *epochs, "error", "run_id")
    columns = dict.fromkeys(("state", *metrics, *names, *last))
    frame = _typed_frame(rows, list(columns))
    frame.index = _trial_index([trial.number for trial in trials])
    return frame


def build_epoch_frame(history: StudyHistory) -> pandas.DataFrame:
    """Return one row per epoch, with the columns of `StudyResult.epochs`."""
    ended = [epoch for number in sorted(history.trials) for epoch in history.trials[number].epochs]
    metrics = dict.fromkeys(name for epoch in ended for name in epoch.metrics)
    rows = [
        {"trial": epoch.trial, "epoch": epoch.epoch, **epoch.metrics, "seconds": epoch.seconds}
        for epoch in ended
    ]
    return _typed_frame(rows, ["trial", "epoch", *metrics, "seconds"])


def build_finalist_frame(
    finalizes: Sequence[FinalizeRecord], objectives: Objectives, runs: Mapping[int, str]
) -> pandas.DataFrame:
    """Return one row per re-training of the last finalize, as `StudyResult.finalists` has them.

    Args:
        finalizes: of the study.
        objectives: of the study.
        runs: ids of the trainings' runs in MLflow, by their number.
    """
    metrics = dict.fromkeys(objective.metric for objective in objectives.each)
    columns = ["trial", "baseline", "seed", "state", *metrics]
    if not finalizes:
        return _typed_frame([], columns)
    # As `assay show` does: the last one with verdicts.
    last = [one for one in finalizes if one.judged is not None or one is finalizes[0]][-1]
    finalists = {one.trial: one for one in last.plan.finalists}
    rows = [
        _finalist_row(training, finalists[training.begun.finalist].is_baseline, objectives, runs)
        for training in last.ended_by_seed().values()
        if training.begun.finalist in finalists
    ]
    tested = dict.fromkeys(name for row in rows for name in row if name.startswith("test_"))
    return _typed_frame(rows, [*columns, *tested, "training", "run_id"])


def _finalist_row(
    training: Training, is_baseline: bool, objectives: Objectives, runs: Mapping[int, str]
) -> dict[str, Any]:
    end, begun = training.end, training.begun
    values = () if end is None else end.values
    return {
        "trial": begun.finalist,
        "baseline": is_baseline,
        "seed": begun.seed,
        "state": "running" if end is None else end.label,
        **{one.metric: value for one, value in zip(objectives.each, values, strict=False)},
        **({} if training.tested is None else training.tested.metrics),
        "training": begun.trial,
        "run_id": runs.get(begun.trial),
    }


def build_effect_frame(reports: Mapping[str, ImportanceReport]) -> pandas.DataFrame:
    """Return one row per group of each hyperparameter, with the columns of `StudyResult.effects`.

    Args:
        reports: by the metric of each objective.
    """
    import pandas  # here for the same reason as below

    rows = [
        {"metric": metric, "hyperparameter": name, **dataclasses.asdict(effect)}
        for metric, report in reports.items()
        for name, effects in report.effects.items()
        for effect in effects
    ]
    rows = [{name: _encodable(value) for name, value in row.items()} for row in rows]
    frame = pandas.DataFrame(rows, columns=["metric", "hyperparameter", "group", "n", "mean", "sd"])
    return frame.astype({"n": "int64", "mean": "float64", "sd": "float64"})


def _trial_row(
    trial: FrozenTrial, history: StudyHistory, objectives: Objectives, run_id: str | None
) -> dict[str, Any]:
    from assay.search.storage.stored_values import ORIGIN, SEED, STATE

    recorded = history.trials.get(trial.number)
    values = final_values(trial, recorded, objectives) or ()
    end = None if recorded is None else recorded.end
    measured = {} if end is None else end.metrics
    # Of equal names the later entry counts: a searched hyperparameter before a column of ours, an
    # objective before its cost.
    return {
        **{name: value for name, value in measured.items() if name in _MEASURED},
        "seed": trial.user_attrs.get(SEED),
        "origin": trial.user_attrs.get(ORIGIN) if recorded is None else recorded.begun.origin,
        "epochs": trial.last_step if recorded is None else len(recorded.epochs),
        "error": None if end is None else end.error,
        "run_id": run_id,
        **searched_params(trial, history),
        "state": trial.user_attrs.get(STATE) or _STATES[trial.state.name],
        **{
            objective.metric: value
            for objective, value in zip(objectives.each, values, strict=False)
        },
    }


def final_values(
    trial: FrozenTrial, recorded: TrialHistory | None, objectives: Objectives
) -> Values | None:
    """Return a trial's values at its end, if known."""
    if trial.state.name not in ("COMPLETE", "PRUNED"):
        return None
    if trial.values is not None:
        return tuple(trial.values)
    # Optuna keeps no values of a pruned trial: the journal has its last epoch.
    if recorded is None or recorded.end is None or not recorded.epochs:
        return None
    return objectives.values({**recorded.epochs[-1].metrics, **recorded.end.metrics})


def _trial_index(numbers: Sequence[int]) -> pandas.Index:
    import pandas  # here, because it takes half a second that no other command should wait for

    return pandas.Index(numbers, dtype="int64", name="trial")


def _encodable(value: Any) -> Any:
    """Return a value; a text with halves of characters, which columns of texts can't hold, escaped.

    Messages of a user's code may have them, of names of files that are no UTF-8.
    """
    if isinstance(value, str) and not value.isascii():
        return value.encode(errors="backslashreplace").decode()
    return value


def _typed_frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pandas.DataFrame:
    """Return rows as a table with typed columns."""
    import pandas  # here for the same reason

    rows = [{_encodable(name): _encodable(row[name]) for name in row} for row in rows]
    columns = [_encodable(name) for name in columns]
    frame = pandas.DataFrame(rows, columns=columns, dtype=object)
    for name in columns:
        present = [value for row in rows if (value := row.get(name)) is not None]
        is_whole = bool(present) and all(
            isinstance(value, int) and not isinstance(value, bool) for value in present
        )
        # pandas would turn whole numbers into floats where some are missing; Int64 does not.
        frame[name] = (
            frame[name].astype("Int64")
            if is_whole and len(present) < len(rows)
            else frame[name].infer_objects()
        )
    return frame
