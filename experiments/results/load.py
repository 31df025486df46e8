"""Reading a study from Optuna, its journals and MLflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from assay.experiments.config.toml_text import parse_toml
from assay.experiments.results.finalizes import read_finalizes
from assay.experiments.results.frames import (
    build_epoch_frame,
    build_finalist_frame,
    build_trial_frame,
    searched_params,
)
from assay.experiments.results.listing import load_optuna_study
from assay.experiments.results.study import StudyResult
from assay.experiments.tracking.schema import read_preflight
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError
from assay.search.history import StudyHistory, read_history
from assay.search.importances import (
    DEFAULT_EVALUATOR,
    ImportanceReport,
    get_evaluator,
    report_importances,
)
from assay.search.objective import Objectives, Values
from assay.search.system.urls import mask_secrets

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from assay.experiments.tracking.lookup import StoredModel, StudyRunIds


def read_study(
    name: str,
    store_paths: StorePaths,
    importance: str | None = None,
    needs_mlflow: bool = True,
    trials: Sequence[FrozenTrial] | None = None,
) -> StudyResult:
    """Return what the stores have of a study.

    Args:
        name: of the study.
        store_paths: where the stores are.
        importance: importance evaluator; None: the experiment's.
        needs_mlflow: whether MLflow must answer. If not, and it does not, no run is known.
        trials: its trials, if they have been read from Optuna; None: they are read now.

    Raises:
        RequestError: there is no such study or evaluator, or a store can't be reached.
    """
    if importance is not None:
        get_evaluator(importance).check()
    study = load_optuna_study(name, store_paths)
    # Here, because they import scipy and Optuna.
    from assay.experiments.evaluation.study_evaluation import evaluate_study
    from assay.search.storage.stored_values import STUDY_ID
    from assay.search.study_record import best_trials_of, count_states, objectives_of

    study_id = study.user_attrs.get(STUDY_ID)
    # Optuna before the journals: a sweep writes the journal first, so the journal then has every
    # trial that was read from Optuna.
    if trials is None:
        trials = read_trials(study)
    history = read_history(store_paths.workspace.journals(name), study_id)
    runs = _find_runs(store_paths, study_id, needs_mlflow)
    objectives = objectives_of(study)
    evaluator = importance or _experiment_evaluator(history)
    # Of the trials that were read above: a sweep may have added others since.
    best_values = best_trials_of(trials, objectives)
    has_front = objectives.single is None
    models = _find_models(store_paths, runs, best_values, on_parent=not has_front)
    best_trials = _best_trial_records(best_values, trials, history, runs)
    if has_front:
        best_trials = [{**best, "model": models[best["number"]].address} for best in best_trials]
    return StudyResult(
        study=name,
        experiment=(runs.experiment if history.opened is None else history.opened.experiment)
        or "unknown",
        tracking_uri=mask_secrets(store_paths.tracking_uri),
        parent_run_id=runs.parent,
        objectives=tuple(map(str, objectives.each)),
        counts=count_states(trials),
        best=best_trials[0] if best_trials and not has_front else None,
        pareto=best_trials if has_front else None,
        importance=_report_importances(study, objectives, evaluator),
        seconds=None,
        trials=build_trial_frame(trials, history, objectives, runs.trials),
        epochs=build_epoch_frame(history),
        finalists=build_finalist_frame(
            read_finalizes(store_paths.workspace.finalize_journal(name), study_id),
            objectives,
            runs.trainings,
        ),
        model=None if has_front else next((stored.address for stored in models.values()), None),
        missing_models={
            number: stored.missing
            for number, stored in models.items()
            if stored.missing is not None
        },
        registered=runs.registered,
        preflight=read_preflight(history.opened),
        evaluation=evaluate_study(study, objectives, store_paths.workspace.journals(name)),
    )


def read_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials of a study, without those that wait."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name != "WAITING"]


def _experiment_evaluator(history: StudyHistory) -> str:
    """Return the importance evaluator that the study's experiment names."""
    if history.opened is not None:
        with suppress(ValueError, KeyError, TypeError):
            return str(parse_toml(history.opened.text)["search"]["importance"])
    return DEFAULT_EVALUATOR


def _find_runs(store_paths: StorePaths, study_id: str | None, needs_mlflow: bool) -> StudyRunIds:
    from assay.experiments.tracking.lookup import StudyRunIds, find_study_runs

    if study_id is None:
        return StudyRunIds()
    try:
        return find_study_runs(store_paths, study_id)
    except RequestError:
        if needs_mlflow:
            raise
        return StudyRunIds()


def _find_models(
    store_paths: StorePaths, runs: StudyRunIds, trials: Iterable[int], on_parent: bool
) -> dict[int, StoredModel]:
    from assay.experiments.tracking.lookup import find_models

    return find_models(store_paths, runs, trials, on_parent)


def _best_trial_records(
    best_values: Mapping[int, Values],
    trials: Sequence[FrozenTrial],
    history: StudyHistory,
    runs: StudyRunIds,
) -> list[Mapping[str, Any]]:
    by_number = {trial.number: trial for trial in trials}
    return [
        {
            "number": number,
            **({"value": values[0]} if len(values) == 1 else {"values": list(values)}),
            "params": searched_params(by_number[number], history),
            "run_id": runs.trials.get(number),
        }
        for number, values in best_values.items()
    ]


def _report_importances(
    study: optuna.Study, objectives: Objectives, evaluator: str
) -> dict[str, ImportanceReport]:
    names = sorted({name for trial in study.get_trials(deepcopy=False) for name in trial.params})
    return report_importances(study, evaluator, names, objectives)
