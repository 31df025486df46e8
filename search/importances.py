"""Importance of hyperparameters, and their effects on an objective.

The default evaluator, `ranks`, tests what it shows: see `assay.search.rank_shares`. The others are
Optuna's, without a test. PED-ANOVA (Watanabe et al., IJCAI 2023; with conditions, arXiv:2601.20800)
compares the best tenth of the trials with all of them. fANOVA (Hutter et al., ICML 2014) and the
mean decrease in impurity (Breiman, Machine Learning, 2001) analyse a random forest that predicts
the value of a trial.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from assay.models.names import check_installed, check_name
from assay.search.objective import Objectives
from assay.search.optuna_messages import ignored_warnings
from assay.search.samplers import SAMPLERS

if TYPE_CHECKING:
    import optuna
    from optuna.importance import BaseImportanceEvaluator
    from optuna.trial import FrozenTrial

    from assay.search.rank_shares import Integers

# Optuna and NumPy are imported in functions: the command line names evaluators without them.

DEFAULT_EVALUATOR = "ranks"
MIN_TRIALS = 20
"""Complete trials that `ranks` takes."""

_MIN_TRIALS_OF_OPTUNA = 50
_BLOCK_TRIALS = 10
_LEVEL = 0.05
_GIVEN_ORIGINS = frozenset({"baseline", "enqueued"})


@dataclass(frozen=True)
class Evaluator:
    """An evaluator of importance.

    Attributes:
        name: its name in [search].
        summary: what its shares are shares of.
        caution: what a reader of its shares must know.
        min_trials: the fewest complete trials that it takes.
        make: returns a new evaluator of Optuna; None for `ranks`.
        packages: the packages that it needs: `pip install` names by import names.
        supports_conditions: whether it can evaluate hyperparameters that only some trials have.
    """

    name: str
    summary: str
    caution: str
    min_trials: int
    make: Callable[[], BaseImportanceEvaluator] | None = None
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
            DEFAULT_EVALUATOR,
            "share of the variance of the ranks of all results",
            "main effects only: an effect that depends on another hyperparameter is not in a share",
            MIN_TRIALS,
            supports_conditions=True,
        ),
        Evaluator(
            "ped-anova",
            "share of the variance of good results, PED-ANOVA",
            "PED-ANOVA has no test: it often ranks a hyperparameter without effect first",
            _MIN_TRIALS_OF_OPTUNA,
            _make_ped_anova,
            supports_conditions=True,
        ),
        Evaluator(
            "fanova",
            "share of the variance of all results, fANOVA",
            "fANOVA has no test: a hyperparameter without effect has a share too",
            _MIN_TRIALS_OF_OPTUNA,
            _make_fanova,
            _SCIKIT_LEARN,
        ),
        Evaluator(
            "mdi",
            "share of what a random forest learns by its splits, MDI",
            "MDI has no test: a hyperparameter without effect has a share too",
            _MIN_TRIALS_OF_OPTUNA,
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


@dataclass(frozen=True)
class Importance:
    """Importance of a hyperparameter for an objective.

    Attributes:
        share: its share, from 0 to 1.
        low: lower end of the 95 % interval of the share; None if the evaluator has no intervals.
        high: upper end.
        p_value: of the test that it has no effect; None if the evaluator has no test.
        passed: whether an effect is shown, by Holm's procedure over the hyperparameters at 5 %;
            None if the evaluator has no test.
    """

    share: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    passed: bool | None = None

    def __str__(self) -> str:
        share = f"{100 * self.share:.0f} %"
        if self.low is None or self.high is None:
            return share
        return f"{share} ({100 * self.low:.0f} to {100 * self.high:.0f})"


@dataclass(frozen=True)
class Effect:
    """Values of the complete trials that have one choice, or one part of a range.

    Attributes:
        group: the choice, or the lowest and the highest value of the part, as text.
        n: number of trials.
        mean: mean of their values.
        sd: standard deviation of their values, with n - 1; None for a single trial.
    """

    group: str
    n: int
    mean: float
    sd: float | None


@dataclass(frozen=True)
class ImportanceReport:
    """Importance and effects of the hyperparameters for one objective.

    Attributes:
        evaluator: name of the evaluator.
        metric: metric of the objective.
        trials: number of complete trials.
        pruned: number of pruned trials, which are left out.
        given: number of the complete trials that `ranks` leaves out of the shares, because the user
            chose them: baselines and enqueued ones.
        reason: why no importance is shown; None if one is.
        shares: importance of each hyperparameter that was evaluated, the greatest share first.
            Empty if none was.
        left_out: why a hyperparameter was not evaluated, by name.
        effects: effects of each hyperparameter that differs among the complete trials, by name.
    """

    evaluator: str
    metric: str
    trials: int
    pruned: int = 0
    given: int = 0
    reason: str | None = None
    shares: Mapping[str, Importance] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    effects: Mapping[str, Sequence[Effect]] = field(default_factory=dict)

    @property
    def shown(self) -> dict[str, float]:
        """The shares of the hyperparameters that did not fail the test."""
        return {
            name: importance.share
            for name, importance in self.shares.items()
            if importance.passed is not False
        }

    @property
    def not_shown(self) -> list[str]:
        """The hyperparameters whose effect cannot be told from chance."""
        return [name for name, importance in self.shares.items() if importance.passed is False]

    def summary(self) -> str:
        """Return one line: the shares that are shown, or why there are none.

        Example:
            >>> report.summary()
            'val_accuracy: learning_rate 62 % (41 to 77); cannot be told from chance: batch_size'
        """
        if self.reason is not None:
            return f"{self.metric}: {self.reason}"
        shares = ", ".join(f"{name} {self.shares[name]}" for name in self.shown)
        chance = ", ".join(self.not_shown)
        untold = f"; cannot be told from chance: {chance}" if chance else ""
        return f"{self.metric}: {shares}{untold}"

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return dataclasses.asdict(self)


def report_importances(
    study: optuna.Study, evaluator: str, names: Collection[str], objectives: Objectives
) -> dict[str, ImportanceReport]:
    """Return the importance and the effects of hyperparameters, by the metric of each objective.

    Args:
        study: the study.
        evaluator: a name of `EVALUATORS`.
        names: the searched hyperparameters.
        objectives: of the study.

    Raises:
        RequestError: there is no evaluator of that name.

    Example:
        >>> report = report_importances(study, "ranks", space, objectives)["val_accuracy"]
        >>> report.shown
        {'learning_rate': 0.62}
    """
    chosen = get_evaluator(evaluator)
    trials = study.get_trials(deepcopy=False)
    names = [name for name in names if any(name in trial.params for trial in trials)]
    pruned = sum(trial.state.name == "PRUNED" for trial in trials)
    reports = {}
    for index, objective in enumerate(objectives.each):
        complete = [
            trial
            for trial in trials
            if trial.state.name == "COMPLETE" and not math.isnan(trial.values[index])
        ]
        report = ImportanceReport(
            chosen.name,
            objective.metric,
            len(complete),
            pruned,
            effects=_effects(complete, names, index),
        )
        if len(complete) < chosen.min_trials:
            reason = _few_trials(chosen, len(complete), pruned)
            reports[objective.metric] = dataclasses.replace(report, reason=reason)
        elif chosen.make is None:
            reports[objective.metric] = _evaluate_ranks(report, study, complete, names, index)
        else:
            reports[objective.metric] = _evaluate_by_optuna(report, study, complete, names, index)
    return reports


def interrupted_importances(
    study: optuna.Study, evaluator: str, objectives: Objectives
) -> dict[str, ImportanceReport]:
    """Return the reports of an interrupted sweep, without importance and effects.

    They are by the metric of each objective.
    """
    trials = study.get_trials(deepcopy=False)
    complete = sum(trial.state.name == "COMPLETE" for trial in trials)
    reason = "the sweep was interrupted; assay show computes it"
    return {
        objective.metric: ImportanceReport(evaluator, objective.metric, complete, reason=reason)
        for objective in objectives.each
    }


def to_importance_record(
    reports: Mapping[str, ImportanceReport], is_single: bool
) -> dict[str, Any]:
    """Return the keys of `--json` that are about importance.

    Args:
        reports: by the metric of each objective.
        is_single: whether the study has one objective; with several, each key has an object for
            each of them.
    """
    shown = {metric: report.shown for metric, report in reports.items()}
    records = {metric: report.to_record() for metric, report in reports.items()}
    if is_single:
        (shares,), (record,) = shown.values(), records.values()
        return {"importances": shares, "importance": record}
    return {"importances": shown, "importance": records}


def _few_trials(evaluator: Evaluator, complete: int, pruned: int) -> str:
    """Return the reason why there are too few complete trials."""
    beside = f", beside {pruned} pruned" if pruned else ""
    hint = ""
    if evaluator.min_trials > MIN_TRIALS and complete >= MIN_TRIALS:
        hint = f"; {DEFAULT_EVALUATOR!r} takes {MIN_TRIALS}"
    return (
        f"{evaluator.name!r} takes at least {evaluator.min_trials} complete trials; the study has "
        f"{complete}{beside}{hint}"
    )


# Effects.


def _effects(
    trials: Sequence[FrozenTrial], names: Collection[str], objective: int
) -> dict[str, Sequence[Effect]]:
    effects: dict[str, Sequence[Effect]] = {}
    for name in names:
        having = [trial for trial in trials if name in trial.params]
        groups, labels = group_trials(name, having)
        if len(labels) < 2:
            continue
        values: list[list[float]] = [[] for _ in labels]
        for trial, group in zip(having, groups, strict=True):
            values[group].append(trial.values[objective])
        effects[name] = [_effect(label, of) for label, of in zip(labels, values, strict=True)]
    return effects


def _effect(group: str, values: Sequence[float]) -> Effect:
    mean = sum(values) / len(values)
    if len(values) < 2:
        return Effect(group, len(values), mean, None)
    # Not `statistics.stdev`, nor a power: both raise an error for a value that has diverged.
    squares = sum((value - mean) * (value - mean) for value in values)
    return Effect(group, len(values), mean, math.sqrt(squares / (len(values) - 1)))


def group_trials(name: str, trials: Sequence[FrozenTrial]) -> tuple[Sequence[int], list[str]]:
    """Return the group of each trial by a hyperparameter, and the text of each group.

    A choice is a group; a range is cut into three of about equally many trials.

    Args:
        name: name of the hyperparameter.
        trials: trials that have it.
    """
    from optuna.distributions import CategoricalDistribution

    from assay.search.rank_shares import cut_at_terciles

    if not trials:
        return [], []
    values = [trial.params[name] for trial in trials]
    distribution = trials[0].distributions[name]
    if isinstance(distribution, CategoricalDistribution):
        order = {choice: place for place, choice in enumerate(distribution.choices)}
        present = sorted({*values}, key=lambda choice: order.get(choice, len(order)))
        place_of = {choice: place for place, choice in enumerate(present)}
        return [place_of[value] for value in values], [str(choice) for choice in present]
    import numpy as np

    groups = [int(group) for group in cut_at_terciles(np.array(values, np.float64))]
    labels = []
    for group in range(max(groups) + 1):
        within = [value for value, of in zip(values, groups, strict=True) if of == group]
        labels.append(_range_text(min(within), max(within)))
    return groups, labels


def _range_text(low: float, high: float) -> str:
    texts = [f"{end:.3g}" if isinstance(end, float) else str(end) for end in (low, high)]
    return texts[0] if low == high else " to ".join(texts)


# Ranks.


def _evaluate_ranks(
    report: ImportanceReport,
    study: optuna.Study,
    complete: Sequence[FrozenTrial],
    names: Collection[str],
    objective: int,
) -> ImportanceReport:
    """Return a report with the shares of `ranks`.

    Args:
        report: the report without them.
        study: the study.
        complete: its complete trials.
        names: the searched hyperparameters.
        objective: index of the objective.
    """
    from assay.search.rank_shares import holm

    given = find_given_trials(study.get_trials(deepcopy=False))
    drawn = [trial for trial in complete if trial.number not in given]
    report = dataclasses.replace(report, given=len(complete) - len(drawn))
    left_out = {
        name: reason
        for name in names
        if (reason := _cannot_test(name, drawn, objective, report.metric)) is not None
    }
    tested = [name for name in names if name not in left_out]
    reason = None
    if len(drawn) < MIN_TRIALS:
        reason = (
            f"{report.evaluator!r} takes at least {MIN_TRIALS} complete trials that a sampler "
            f"drew; the study has {len(drawn)} beside {report.given} that were given"
        )
    elif len({trial.values[objective] for trial in drawn}) < 2:
        reason = f"all complete trials have the same {report.metric}"
    elif not tested:
        reason = "no hyperparameter differs in enough complete trials"
    if reason is not None:
        return dataclasses.replace(report, reason=reason, left_out=left_out)
    shares = _rank_importances(drawn, tested, objective, _has_learnt(study))
    p_values = [1.0 if share.p_value is None else share.p_value for share in shares.values()]
    passed = holm(p_values, _LEVEL)
    importances = {
        name: dataclasses.replace(share, passed=has_passed)
        for (name, share), has_passed in zip(shares.items(), passed, strict=True)
    }
    return dataclasses.replace(
        report,
        shares=_sorted_importances(importances),
        left_out=left_out,
        reason=None
        if any(passed)
        else f"nothing can be told from chance in {len(drawn)} trials (main effects only)",
    )


def find_repeated_trials(trials: Sequence[FrozenTrial]) -> set[int]:
    """Return the numbers of the trials whose configuration another trial had again.

    They were interrupted, or failed and were retried.
    """
    # Here, because it imports Optuna.
    from assay.search.storage.stored_values import REDO_OF, RETRY_OF

    earlier = (trial.user_attrs.get(name) for trial in trials for name in (REDO_OF, RETRY_OF))
    return {number for number in earlier if number is not None}


def find_given_trials(trials: Sequence[FrozenTrial]) -> set[int]:
    """Return the numbers of the trials whose configuration the user chose.

    A trial that repeats another has that one's configuration.
    """
    # Here, because it imports Optuna.
    from assay.search.storage.stored_values import ORIGIN, REDO_OF, RETRY_OF

    by_number = {trial.number: trial for trial in trials}
    given = set()
    for trial in trials:
        first, seen = trial, set[int]()
        while first.number not in seen:
            seen.add(first.number)
            earlier = first.user_attrs.get(REDO_OF, first.user_attrs.get(RETRY_OF))
            first = first if earlier is None else by_number.get(earlier, first)
        if first.user_attrs.get(ORIGIN) in _GIVEN_ORIGINS:
            given.add(trial.number)
    return given


def _has_learnt(study: optuna.Study) -> bool:
    """Return whether configurations may depend on the values of earlier trials."""
    # Here for the same reason.
    from assay.search.storage.stored_values import SAMPLERS as RECORDED

    names = study.user_attrs.get(RECORDED, [])
    # Of a study of an earlier release, or of plain Optuna, it is not known.
    return not names or any(name not in SAMPLERS or SAMPLERS[name].learns for name in names)


def _cannot_test(
    name: str, trials: Sequence[FrozenTrial], objective: int, metric: str
) -> str | None:
    """Return why a hyperparameter can't be tested; None if it can."""
    having = [trial for trial in trials if name in trial.params]
    _, labels = group_trials(name, having)
    if len(having) < MIN_TRIALS:
        return f"in {len(having)} complete trials, {MIN_TRIALS} are needed"
    if len(labels) < 2:
        return "one value in all complete trials"
    # Of a hyperparameter that depends on another, some trials alone have it.
    if len({trial.values[objective] for trial in having}) < 2:
        return f"the same {metric} in all its complete trials"
    if len(having) < 2 * len(labels):
        return f"{len(labels)} choices in {len(having)} complete trials, two for each are needed"
    return None


def _rank_importances(
    trials: Sequence[FrozenTrial], names: Sequence[str], objective: int, learns: bool
) -> dict[str, Importance]:
    """Return importances without the decision of the test.

    Hyperparameters that the same trials have are evaluated together, which is faster.
    """
    import numpy as np

    from assay.search.rank_shares import compute_rank_shares, split_evenly

    having: dict[tuple[int, ...], list[str]] = {}
    # In one order, since sums in another order differ in the last digit.
    for name in sorted(names):
        numbers = tuple(trial.number for trial in trials if name in trial.params)
        having.setdefault(numbers, []).append(name)
    by_number = {trial.number: trial for trial in trials}
    importances = {}
    for numbers, together in having.items():
        chosen = [by_number[number] for number in sorted(numbers)]
        # A sampler that learns proposes better trials later: only neighbours are comparable.
        blocks = split_evenly(len(chosen), _BLOCK_TRIALS if learns else len(chosen))
        groupings: list[Integers] = [np.array(group_trials(name, chosen)[0]) for name in together]
        values = np.array([trial.values[objective] for trial in chosen])
        shares = compute_rank_shares(values, groupings, blocks, tests=len(names))
        for name, share in zip(together, shares, strict=True):
            low, point, high = (
                min(max(number, 0.0), 1.0) for number in (share.low, share.share, share.high)
            )
            importances[name] = Importance(point, low, high, share.p_value)
    return {name: importances[name] for name in names}


# Optuna's evaluators.


def _evaluate_by_optuna(
    report: ImportanceReport,
    study: optuna.Study,
    complete: Sequence[FrozenTrial],
    names: Collection[str],
    objective: int,
) -> ImportanceReport:
    """Return a report with the shares of an evaluator of Optuna, which sum to 1."""
    evaluator = get_evaluator(report.evaluator)
    evaluated = [name for name in names if _can_evaluate(evaluator, name, complete)]
    left_out = {name: "not all trials have it" for name in names if name not in evaluated}
    differing = sum(_differs(name, complete) for name in evaluated)
    if differing < 2:
        return dataclasses.replace(
            report,
            reason=f"{evaluator.name!r} takes at least 2 hyperparameters that differ in the trials",
            left_out=left_out,
        )
    shares = {
        name: Importance(share)
        for name, share in _optuna_shares(study, evaluator, evaluated, objective).items()
    }
    reason = None if shares else f"{evaluator.name!r} finds no differences to share"
    return dataclasses.replace(
        report, shares=_sorted_importances(shares), left_out=left_out, reason=reason
    )


def _can_evaluate(evaluator: Evaluator, name: str, trials: Sequence[FrozenTrial]) -> bool:
    has_name = [name in trial.params for trial in trials]
    return any(has_name) if evaluator.supports_conditions else all(has_name)


def _differs(name: str, trials: Sequence[FrozenTrial]) -> bool:
    return len({trial.params[name] for trial in trials if name in trial.params}) > 1


def _optuna_shares(
    study: optuna.Study, evaluator: Evaluator, names: Sequence[str], objective: int
) -> Mapping[str, float]:
    """Return the shares by one objective; empty if Optuna has none."""
    import optuna

    assert evaluator.make is not None
    try:
        # Optuna warns that the shares may mean little; below they are then left out.
        with ignored_warnings(Warning):
            shares = optuna.importance.get_param_importances(
                study,
                evaluator=evaluator.make(),
                # In another order, mdi of Optuna 5.0 gives the shares to the wrong names.
                params=sorted(names),
                target=_target(study, objective),
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


def _sorted_importances(importances: Mapping[str, Importance]) -> dict[str, Importance]:
    return dict(sorted(importances.items(), key=lambda item: item[1].share, reverse=True))
