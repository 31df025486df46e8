"""Hyperparameter importances, by Optuna's evaluators.

PED-ANOVA (Watanabe et al., IJCAI 2023; with conditions, arXiv:2601.20800) compares the best tenth
of the trials with all of them. fANOVA (Hutter et al., ICML 2014) and the mean decrease in impurity
(Breiman, Machine Learning, 2001) analyse a random forest that predicts the value of a trial.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from assay.models.names import check_installed, check_name
from assay.search.objective import Objectives
from assay.search.optuna_messages import ignored_warnings

if TYPE_CHECKING:
    import optuna
    from optuna.importance import BaseImportanceEvaluator
    from optuna.trial import FrozenTrial

# Optuna is imported in functions: the command line names evaluators without it.

_MIN_TRIALS = 4


@dataclass(frozen=True)
class Evaluator:
    """An evaluator of importances.

    Attributes:
        name: its name in [search].
        summary: what its shares are shares of.
        make: returns a new evaluator.
        packages: the packages that it needs: `pip install` names by import names.
        supports_conditions: whether it can evaluate hyperparameters that only some trials have.
    """

    name: str
    summary: str
    make: Callable[[], BaseImportanceEvaluator]
    packages: Mapping[str, str] = field(default_factory=dict)
    supports_conditions: bool = False

    def check(self) -> None:
        """Check that the packages are installed.

        Raises:
            RequestError: one is not.
        """
        check_installed(f"importance {self.name!r}", self.packages)


def _make_ped_anova() -> BaseImportanceEvaluator:
    import optuna

    return optuna.importance.PedAnovaImportanceEvaluator()


def _make_fanova() -> BaseImportanceEvaluator:
    import optuna

    # With a fixed seed the same study has the same importances every time.
    return optuna.importance.FanovaImportanceEvaluator(seed=0)


def _make_mdi() -> BaseImportanceEvaluator:
    import optuna

    return optuna.importance.MeanDecreaseImpurityImportanceEvaluator(seed=0)


_SCIKIT_LEARN = {"sklearn": "scikit-learn"}
EVALUATORS: Mapping[str, Evaluator] = {
    evaluator.name: evaluator
    for evaluator in (
        Evaluator(
            "ped-anova",
            "share of the variance of good results, PED-ANOVA",
            _make_ped_anova,
            supports_conditions=True,
        ),
        Evaluator(
            "fanova", "share of the variance of all results, fANOVA", _make_fanova, _SCIKIT_LEARN
        ),
        Evaluator(
            "mdi",
            "share of what a random forest learns by its splits, MDI",
            _make_mdi,
            _SCIKIT_LEARN,
        ),
    )
}


def get_evaluator(name: str) -> Evaluator:
    """Return the evaluator of this name.

    Raises:
        RequestError: there is none.
    """
    return EVALUATORS[check_name("importance", name, EVALUATORS)]


def compute_importances(
    study: optuna.Study, evaluator: str, names: Collection[str], objective: int | None = None
) -> dict[str, float]:
    """Return the importance of each hyperparameter, as shares that sum to 1, the greatest first.

    Args:
        study: the study; its complete trials are compared.
        evaluator: a name of `EVALUATORS`.
        names: the searched hyperparameters. Only ped-anova evaluates those that not all trials
            have.
        objective: index of the objective. None for all: with several, ped-anova evaluates what
            mattered for reaching the Pareto front, the others the mean over the objectives.

    Returns:
        The shares by name. Empty if there are too few complete trials, or too few hyperparameters
        that differ among them.

    Raises:
        RequestError: there is no evaluator of that name.

    Example:
        >>> compute_importances(study, "ped-anova", ["learning_rate", "hidden_units"])
        {'learning_rate': 0.83, 'hidden_units': 0.17}
    """
    chosen = get_evaluator(evaluator)
    trials = _complete_trials(study)
    evaluated = [name for name in names if _can_evaluate(chosen, name, trials)]
    differing = sum(_differs(name, trials) for name in evaluated)
    if len(trials) < _MIN_TRIALS or differing < 2:
        return {}
    objectives = range(len(study.directions)) if objective is None else [objective]
    if chosen.supports_conditions and len(objectives) > 1:
        return _sorted_shares(_shares(study, chosen, evaluated, None))
    by_objective = [_shares(study, chosen, evaluated, index) for index in objectives]
    return _sorted_shares(_mean_shares([shares for shares in by_objective if shares]))


def importances_by_metric(
    study: optuna.Study, evaluator: str, names: Collection[str], objectives: Objectives
) -> dict[str, dict[str, float]]:
    """Return the importances by the metric of each objective.

    An objective is left out if it has none: see `compute_importances`.
    """
    by_metric = {
        objective.metric: compute_importances(study, evaluator, names, index)
        for index, objective in enumerate(objectives.each)
    }
    return {metric: shares for metric, shares in by_metric.items() if shares}


def _complete_trials(study: optuna.Study) -> list[FrozenTrial]:
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _can_evaluate(evaluator: Evaluator, name: str, trials: Sequence[FrozenTrial]) -> bool:
    has_name = [name in trial.params for trial in trials]
    return any(has_name) if evaluator.supports_conditions else all(has_name)


def _differs(name: str, trials: Sequence[FrozenTrial]) -> bool:
    return len({trial.params[name] for trial in trials if name in trial.params}) > 1


def _shares(
    study: optuna.Study, evaluator: Evaluator, names: Sequence[str], objective: int | None
) -> Mapping[str, float]:
    """Return the importances by one objective, or by all; empty if Optuna has none."""
    import optuna

    try:
        # Optuna warns that the shares may mean little; below they are then left out.
        with ignored_warnings(Warning):
            shares = optuna.importance.get_param_importances(
                study,
                evaluator=evaluator.make(),
                # In another order, mdi of Optuna 5.0 gives the shares to the wrong names.
                params=sorted(names),
                target=None if objective is None else _target(study, objective),
                normalize=False,
            )
    except Exception:
        # Whatever fails here must not lose the result of a search that may have taken days.
        return {}
    total = sum(shares.values())
    if not math.isfinite(total) or total <= 0:
        # Normalised by Optuna, all hyperparameters would have the same importance.
        return {}
    return {name: float(value / total) for name, value in shares.items()}


def _target(study: optuna.Study, objective: int) -> Callable[[FrozenTrial], float]:
    """Return the value of an objective, negated if greater is better, as ped-anova expects it."""
    from optuna.study import StudyDirection

    sign = -1.0 if study.directions[objective] == StudyDirection.MAXIMIZE else 1.0
    return lambda trial: sign * trial.values[objective]


def _mean_shares(by_objective: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    if not by_objective:
        return {}
    return {
        name: statistics.fmean(shares[name] for shares in by_objective) for name in by_objective[0]
    }


def _sorted_shares(shares: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(shares.items(), key=lambda share: share[1], reverse=True))
