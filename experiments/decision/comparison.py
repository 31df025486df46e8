"""Configurations of several studies and runs side by side, with verdicts.

Verdicts are those of finalize: see `verdicts.judge`. What can't be compared is refused.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.experiments.decision.candidates import (
    Candidate,
    Conditions,
    check_same_examples,
    load_candidates,
)
from assay.experiments.decision.outcome import (
    TEST_METRIC,
    bounds_record,
    find_leader,
    interval_record,
)
from assay.experiments.evaluation.budget import smallest_gap
from assay.experiments.evaluation.proportions import Interval
from assay.experiments.evaluation.summaries import MeanInterval, mean_interval
from assay.experiments.evaluation.verdicts import (
    Comparison,
    compare_scores,
    generalization_interval,
    judge,
)
from assay.experiments.tracking.schema import encode_param
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError
from assay.search.objective import Objective

_DIGEST_CHARACTERS = 12


@dataclass(frozen=True, eq=False)
class ComparedConfiguration:
    """A configuration beside others.

    Attributes:
        candidate: the configuration.
        test: the test metric over the seeds; None without predictions.
        generalization: where its mean lies on new seeds and new test examples, at 95 %; None
            without predictions, and with fewer than three seeds.
        comparison: with the leader; None of the leader itself, and if it was not judged.
        is_leader: whether it leads on validation.
    """

    candidate: Candidate
    test: MeanInterval | None
    generalization: Interval | None
    comparison: Comparison | None
    is_leader: bool

    @property
    def name(self) -> str:
        """Name of the configuration."""
        return self.candidate.name

    @property
    def is_compared(self) -> bool:
        """Whether it could be compared with the leader."""
        return self.comparison is not None and self.comparison.unjudged is None

    @property
    def verdict(self) -> str:
        """Verdict of the comparison with the leader, "leader" or "not judged"."""
        if self.is_leader:
            return "leader"
        return "not judged" if self.comparison is None else self.comparison.verdict

    @property
    def reason(self) -> str | None:
        """Why the verdict is what it is; None of the leader."""
        if self.comparison is not None:
            return self.comparison.reason
        return self.candidate.why_not_judged

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        one = self.candidate
        return {
            "name": one.name,
            "study": one.study,
            "trial": one.trial,
            "runs": list(one.runs),
            "baseline": one.is_baseline,
            "params": dict(one.params),
            "seeds": one.seeds,
            "failed": list(one.failed),
            "validation": interval_record(one.validation),
            "test": interval_record(self.test),
            "generalization": bounds_record(self.generalization),
            "verdict": self.verdict,
            "reason": self.reason,
            "notes": list(one.notes),
            "comparison": None if self.comparison is None else self.comparison.to_dict(),
        }


@dataclass(frozen=True, eq=False)
class ConfigurationComparison:
    """What a comparison of several configurations found.

    Attributes:
        configurations: the leader first, then in the order of their mean on validation.
        comparisons: all comparisons, by the names of the two; the verdict is about the first.
        conditions: what the configurations share.
        openings: the largest number of times that one of their studies has opened the test set; 0
            without predictions.
        examples: number of test examples; None without predictions.
        runner_up: the next configuration that could be compared with the leader; None if there is
            none.
        smallest_gap: the smallest true gap between leader and runner-up that this budget finds in 4
            of 5 studies; None if it can't be estimated.
    """

    configurations: tuple[ComparedConfiguration, ...]
    comparisons: Mapping[tuple[str, str], Comparison]
    conditions: Conditions
    openings: int
    examples: int | None
    runner_up: str | None
    smallest_gap: float | None

    @property
    def leader(self) -> str | None:
        """Name of the configuration that leads; None if none can be judged."""
        return next((one.name for one in self.configurations if one.is_leader), None)

    @property
    def objective(self) -> Objective:
        """The objective by which validation chose the leader."""
        return self.conditions.objective

    @property
    def metric(self) -> str:
        """What the test set was measured by: "accuracy" or "mae"."""
        return TEST_METRIC[self.conditions.task]

    @property
    def in_points(self) -> bool:
        """Whether differences are shown as points of 100."""
        return self.metric == "accuracy"

    def differing_params(self) -> list[str]:
        """Return the names of hyperparameters that are not the same in all configurations."""
        shared = self.shared_params()
        names = (name for one in self.configurations for name in one.candidate.params)
        return [name for name in dict.fromkeys(names) if name not in shared]

    def shared_params(self) -> dict[str, Any]:
        """Return the hyperparameters that are the same in all configurations."""
        first, *others = (one.candidate.params for one in self.configurations)
        # As text: MLflow has nothing else.
        return {
            name: value
            for name, value in first.items()
            if all(
                name in params and encode_param(params[name]) == encode_param(value)
                for params in others
            )
        }

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "configurations": [one.to_record() for one in self.configurations],
            "comparisons": [
                {"name": first, "with": second, **comparison.to_dict()}
                for (first, second), comparison in self.comparisons.items()
            ],
            "leader": self.leader,
            "metric": f"test_{self.metric}",
            "objective": str(self.objective),
            "data": self.conditions.data,
            "test_examples": self.examples,
            "openings": self.openings,
            "runner_up": self.runner_up,
            "smallest_gap": self.smallest_gap,
        }


def compare_configurations(
    names: Sequence[str], store_paths: StorePaths
) -> ConfigurationComparison:
    """Compare the configurations of studies and runs.

    Args:
        names: names of studies, whose last finalize gives the configurations, and ids of runs in
            MLflow: of re-trainings, of trials, and single ones.
        store_paths: where the stores are.

    Raises:
        RequestError: there is no such study or run, a study is not finalized, or they can't be
            compared.

    Example:
        >>> found = compare_configurations(["digits-mlp", "digits-wide"], StorePaths.choose())
        >>> found.leader, [one.verdict for one in found.configurations]
        ('digits-wide/7', ['leader', 'worse', 'not separable'])
    """
    candidates = load_candidates(names, store_paths)
    if len(candidates) < 2:
        raise RequestError(
            f"two or more configurations are compared: received {len(candidates)} "
            f"({', '.join(one.name for one in candidates)}); name another study or run."
        )
    check_comparable(candidates)
    return compare_candidates(candidates)


def check_comparable(candidates: Sequence[Candidate]) -> None:
    """Check that configurations have the same data, split, task and objective.

    Raises:
        RequestError: they have not.
    """
    first = candidates[0]
    for other in candidates[1:]:
        _check_conditions(first, other)
    targets = [(one.name, one.predicted.targets) for one in candidates if one.predicted is not None]
    for name, others in targets[1:]:
        check_same_examples(*targets[0], name, others)


def _check_conditions(first: Candidate, other: Candidate) -> None:
    a, b = first.conditions, other.conditions
    _check_same("data", (first, _describe_data(a)), (other, _describe_data(b)), a.digest, b.digest)
    _check_same(
        "test metric",
        (first, f"{TEST_METRIC[a.task]} ({a.task})"),
        (other, f"{TEST_METRIC[b.task]} ({b.task})"),
    )
    _check_same("objective", (first, str(a.objective)), (other, str(b.objective)))
    for one in (first, other):
        conditions = one.conditions
        is_known = conditions.validation is not None and (
            conditions.splits or conditions.split_seed is not None
        )
        if not is_known:
            raise RequestError(
                "configurations are compared on the same validation split: that of "
                f"{one.name} is not recorded; leave it out, or train it again with this release."
            )
    _check_same("validation split", (first, _describe_split(a)), (other, _describe_split(b)))


def _check_same(
    what: str,
    first: tuple[Candidate, str],
    other: tuple[Candidate, str],
    *keys: str,
) -> None:
    """Check that two configurations have something in common.

    Args:
        what: what it is called.
        first: a configuration and what it has, in words.
        other: another one, likewise.
        keys: what is compared, if not the words.

    Raises:
        RequestError: they differ.
    """
    if len(set(keys or (first[1], other[1]))) > 1:
        raise RequestError(
            f"configurations are compared with the same {what}: {first[0].name} has {first[1]}, "
            f"{other[0].name} has {other[1]}; leave one out."
        )


def _describe_data(conditions: Conditions) -> str:
    return f"{conditions.data} (digest {conditions.digest[:_DIGEST_CHARACTERS]})"


def _describe_split(conditions: Conditions) -> str:
    drawn = (
        "anew for every seed" if conditions.splits else f"with split_seed {conditions.split_seed}"
    )
    return f"{conditions.validation:,} examples drawn {drawn}"


def compare_candidates(candidates: Sequence[Candidate]) -> ConfigurationComparison:
    """Return configurations that can be compared, with verdicts.

    Args:
        candidates: two or more, as `check_comparable` wants them.
    """
    conditions = candidates[0].conditions
    judged = {
        one.name: one.predicted.scores
        for one in candidates
        if one.predicted is not None and one.validation is not None
    }
    openings = max(one.openings for one in candidates)
    # Of the re-trained ones alone: a trial's score was chosen among many, and leads by luck.
    validation = {
        one.name: one.validation
        for one in candidates
        if one.name in judged and one.validation is not None
    }
    leader = find_leader(validation, conditions.objective)
    comparisons: dict[tuple[str, str], Comparison] = {}
    if leader is not None and len(judged) > 1:
        greater_is_better = conditions.task == "classification"
        comparisons = judge(
            judged,
            leader,
            compare=functools.partial(compare_scores, greater_is_better=greater_is_better),
            openings=openings,
        )
    configurations = sorted(
        (_describe(one, conditions, comparisons, leader) for one in candidates),
        key=lambda one: _rank(one, conditions.objective),
    )
    runner_up = next((one for one in configurations if one.is_compared), None)
    nearest = None if runner_up is None else runner_up.comparison
    return ConfigurationComparison(
        configurations=tuple(configurations),
        comparisons=comparisons,
        conditions=conditions,
        openings=openings,
        examples=next((scores.shape[1] for scores in judged.values()), None),
        runner_up=None if runner_up is None else runner_up.name,
        smallest_gap=None if nearest is None else smallest_gap(nearest),
    )


def _describe(
    candidate: Candidate,
    conditions: Conditions,
    comparisons: Mapping[tuple[str, str], Comparison],
    leader: str | None,
) -> ComparedConfiguration:
    predicted = candidate.predicted
    return ComparedConfiguration(
        candidate=candidate,
        test=None if predicted is None else mean_interval(predicted.scores.mean(axis=1)),
        generalization=None
        if predicted is None
        else generalization_interval(
            predicted.scores, is_share=conditions.task == "classification"
        ),
        comparison=None if leader is None else comparisons.get((candidate.name, leader)),
        is_leader=candidate.name == leader,
    )


def _rank(one: ComparedConfiguration, objective: Objective) -> tuple[bool, bool, float]:
    validation = one.candidate.validation
    if validation is None:
        return True, True, 0.0
    mean = validation.mean
    return not one.is_leader, False, -mean if objective.direction == "maximize" else mean
