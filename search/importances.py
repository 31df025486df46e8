"""What each hyperparameter mattered to the value, told by one of Optuna's evaluators.

PED-ANOVA (Watanabe et al., IJCAI 2023; with conditions, arXiv:2601.20800) looks at what the best
tenth of the trials have in common; fANOVA (Hutter et al., ICML 2014) and the mean decrease in
impurity (Breiman, Machine Learning, 2001) at a random forest that predicts the value of every
trial.
"""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from assay.models.names import check_installed, check_name

if TYPE_CHECKING:
    import optuna
    from optuna.importance import BaseImportanceEvaluator
    from optuna.trial import FrozenTrial

_FEWEST_TO_COMPARE = 4


@dataclass(frozen=True)
class Evaluator:
    """A way to tell importances.

    Attributes:
        name: what [search] calls it.
        summary: what its shares are shares of.
        make: makes a new one; imports Optuna, so that naming evaluators costs the command line
            nothing.
        packages: what it needs: `pip install` names by import names.
        knows_conditions: whether it can tell of hyperparameters that only some trials have.
    """

    name: str
    summary: str
    make: Callable[[], BaseImportanceEvaluator]
    packages: Mapping[str, str] = field(default_factory=dict)
    knows_conditions: bool = False

    def check(self) -> None:
        """See that what it needs is installed.

        Raises:
            RequestError: it is not.
        """
        check_installed(f"importance {self.name!r}", self.packages)


def _ped_anova() -> BaseImportanceEvaluator:
    import optuna  # not at the top: naming evaluators must cost the command line nothing

    return optuna.importance.PedAnovaImportanceEvaluator()


def _fanova() -> BaseImportanceEvaluator:
    import optuna  # for the same reason

    return optuna.importance.FanovaImportanceEvaluator(
        seed=0
    )  # the same study gives the same numbers


def _mdi() -> BaseImportanceEvaluator:
    import optuna  # for the same reason

    return optuna.importance.MeanDecreaseImpurityImportanceEvaluator(seed=0)


_FOREST = {"sklearn": "scikit-learn"}
EVALUATORS: Mapping[str, Evaluator] = {
    evaluator.name: evaluator
    for evaluator in (
        Evaluator(
            "ped-anova",
            "share of the variance of good results, PED-ANOVA",
            _ped_anova,
            knows_conditions=True,
        ),
        Evaluator("fanova", "share of the variance of all results, fANOVA", _fanova, _FOREST),
        Evaluator("mdi", "share of what a random forest learns by its splits, MDI", _mdi, _FOREST),
    )
}


def get_evaluator(name: str) -> Evaluator:
    """Return the evaluator of that name.

    Raises:
        RequestError: there is none.
    """
    return EVALUATORS[check_name("importance", name, EVALUATORS)]


def importances(
    study: optuna.Study, evaluator: str, names: Collection[str], objective: int | None = None
) -> dict[str, float]:
    """Return what each hyperparameter mattered, the shares summing to 1 and the greatest first.

    Args:
        study: the study; its complete trials are compared.
        evaluator: a name of EVALUATORS.
        names: the hyperparameters of the space. Those that only some of the trials have are told of
            by ped-anova alone.
        objective: which objective of the study, counted from 0. None is all of them: with several,
            ped-anova tells what mattered for reaching the Pareto front, the others the mean of the
            shares for each objective.

    Returns:
        The shares by name; empty when there are too few complete trials, or too few hyperparameters
        that differ among them, to compare anything.

    Raises:
        RequestError: there is no evaluator of that name.
    """
    chosen = get_evaluator(evaluator)
    trials = _complete(study)
    told = [name for name in names if _is_told(name, trials, chosen)]
    if len(trials) < _FEWEST_TO_COMPARE or sum(_differs(name, trials) for name in told) < 2:
        return {}
    objectives = range(len(study.directions)) if objective is None else [objective]
    if chosen.knows_conditions and len(objectives) > 1:
        return _ordered(_shares(study, chosen, told, None))
    each = [_shares(study, chosen, told, index) for index in objectives]
    return _ordered(_mean([shares for shares in each if shares]))


def _complete(study: optuna.Study) -> list[FrozenTrial]:
    from optuna.trial import TrialState  # for the same reason

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _is_told(name: str, trials: Sequence[FrozenTrial], evaluator: Evaluator) -> bool:
    having = [name in trial.params for trial in trials]
    return any(having) if evaluator.knows_conditions else all(having)


def _differs(name: str, trials: Sequence[FrozenTrial]) -> bool:
    return len({trial.params[name] for trial in trials if name in trial.params}) > 1


def _shares(
    study: optuna.Study, evaluator: Evaluator, names: Sequence[str], objective: int | None
) -> Mapping[str, float]:
    import optuna  # for the same reason

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # what Optuna warns of here, that shares mean little, is answered below
        try:
            told = optuna.importance.get_param_importances(
                study,
                evaluator=evaluator.make(),
                params=sorted(
                    names
                ),  # in any other order Optuna 5.0's mdi gives shares to the wrong names
                target=None if objective is None else _target(study, objective),
                normalize=False,
            )
        except Exception:  # an ornament of a result that may have taken days: whatever fails here must not lose that
            return {}
    total = sum(told.values())
    if not math.isfinite(total) or total <= 0:
        return {}  # nothing could be told apart; Optuna would say that all mattered the same
    return {name: float(value / total) for name, value in told.items()}


def _target(study: optuna.Study, objective: int) -> Callable[[FrozenTrial], float]:
    """Return what is explained: an objective so turned that lower is better, as ped-anova takes it
    to be.
    """
    from optuna.study import StudyDirection  # for the same reason

    sign = -1.0 if study.directions[objective] == StudyDirection.MAXIMIZE else 1.0
    return lambda trial: sign * trial.values[objective]


def _mean(each: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    return (
        {name: statistics.fmean(shares[name] for shares in each) for name in each[0]}
        if each
        else {}
    )


def _ordered(shares: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(shares.items(), key=lambda share: share[1], reverse=True))
