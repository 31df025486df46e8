"""Reading a study from where it lies: Optuna, its journal in home, and MLflow."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from assay.experiments.results.frames import epoch_frame, finalist_frame, searched, trial_frame
from assay.experiments.results.history import History, read_history
from assay.experiments.results.listing import load_optuna_study
from assay.experiments.results.study import StudyResult
from assay.experiments.workspace import StorePaths
from assay.search.importances import get_evaluator, importances
from assay.search.objective import Objectives, ParetoFront
from assay.search.system.urls import masked

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from assay.experiments.tracking.lookup import StudyRuns

_DEFAULT_IMPORTANCE = "ped-anova"


def read_study(name: str, store_paths: StorePaths, importance: str | None = None) -> StudyResult:
    """Return the same, read from these places.

    Raises:
        RequestError: there is no such study or importance, or a store can't be reached.
    """
    if importance is not None:
        get_evaluator(importance).check()
    study = load_optuna_study(name, store_paths)
    from assay.search.study_record import STUDY_ID  # here, because it imports Optuna

    study_id = study.user_attrs.get(STUDY_ID)
    # The trials before the journal, which is written first: what Optuna has, the journal then has
    # too.
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.state.name != "WAITING"]
    history = read_history(store_paths.workspace.journals(name), study_id)
    runs = _runs(store_paths, study_id)
    objectives = _objectives(study)
    evaluator = importance or _importance_of(history)
    best_trials = _best_trials(trials, objectives, history, runs)
    several = objectives.single is None
    return StudyResult(
        study=name,
        experiment=(runs.experiment if history.opened is None else history.opened.experiment)
        or "unknown",
        tracking_uri=masked(store_paths.tracking_uri),
        parent_run_id=runs.parent,
        objectives=tuple(map(str, objectives.each)),
        counts=_counts(trials),
        best=best_trials[0] if best_trials and not several else None,
        pareto=best_trials if several else None,
        importances=_importances(study, objectives, evaluator),
        seconds=None,
        trials=trial_frame(trials, history, objectives, runs.trials),
        epochs=epoch_frame(history),
        finalists=finalist_frame(objectives),
        importance=evaluator,
    )


def _importance_of(history: History) -> str:
    """Return how a study's experiment has importances told."""
    if history.opened is not None:
        with suppress(tomllib.TOMLDecodeError, KeyError):
            return str(tomllib.loads(history.opened.text)["search"]["importance"])
    return _DEFAULT_IMPORTANCE


def _runs(store_paths: StorePaths, study_id: str | None) -> StudyRuns:
    from assay.experiments.tracking.lookup import StudyRuns, runs_of_study

    return StudyRuns() if study_id is None else runs_of_study(store_paths, study_id)


def _objectives(study: optuna.Study) -> Objectives:
    """Return what was made better; a study that others made, with Optuna alone, only says which
    way.
    """
    from assay.search.study_record import FINGERPRINT  # here for the same reason

    known = study.user_attrs.get(FINGERPRINT, {}).get("objectives")
    if known is not None:
        return Objectives.read(known)
    ways = [direction.name.lower() for direction in study.directions]
    return Objectives.read(
        [f"{way} value{f'_{index}' if len(ways) > 1 else ''}" for index, way in enumerate(ways)]
    )


def _counts(trials: Sequence[FrozenTrial]) -> dict[str, int]:
    states = [trial.state.name for trial in trials]
    return {
        "complete": states.count("COMPLETE"),
        "pruned": states.count("PRUNED"),
        "failed": states.count("FAIL"),
    }


def _best_trials(
    trials: Sequence[FrozenTrial], objectives: Objectives, history: History, runs: StudyRuns
) -> list[Mapping[str, Any]]:
    by_number = {trial.number: trial for trial in trials if trial.state.name == "COMPLETE"}
    best_trials = ParetoFront(
        objectives, {number: tuple(trial.values) for number, trial in by_number.items()}
    )
    single = objectives.single is not None
    return [
        {
            "number": number,
            **({"value": values[0]} if single else {"values": list(values)}),
            "params": searched(by_number[number], history),
            "run_id": runs.trials.get(number),
        }
        for number, values in best_trials.ranked().items()
    ]


def _importances(
    study: optuna.Study, objectives: Objectives, evaluator: str
) -> dict[str, dict[str, float]]:
    names = sorted({name for trial in study.get_trials(deepcopy=False) for name in trial.params})
    told = {
        objective.metric: importances(study, evaluator, names, index)
        for index, objective in enumerate(objectives.each)
    }
    return {metric: shares for metric, shares in told.items() if shares}
