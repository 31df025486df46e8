"""What a finalize found: configurations with their scores over seeds, and verdicts.

All of it is computed from the journal and the files with predictions, so that it can be had again
at any time.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.experiments.decision.files import predictions_file
from assay.experiments.decision.finalists import judged_objective
from assay.experiments.evaluation.budget import NeededBudget, needed_seeds, smallest_gap
from assay.experiments.evaluation.proportions import Interval
from assay.experiments.evaluation.summaries import MeanInterval, choose_leader, mean_interval
from assay.experiments.evaluation.verdicts import (
    MIN_SEEDS,
    Comparison,
    compare_scores,
    generalization_interval,
    judge,
    level_of_opening,
)
from assay.experiments.results.finalizes import FinalizeRecord, Training, planned_trainings
from assay.models.errors import RequestError
from assay.models.tasks import Task
from assay.models.worker.testing import read_predictions
from assay.search.events import FinalistConfiguration
from assay.search.objective import Objective, Objectives

TEST_METRIC: Mapping[Task, str] = {"classification": "accuracy", "regression": "mae"}
"""The metric that verdicts are about, whatever the objective is: the mean over test examples of 1
for a right and 0 for a wrong class, or of the absolute error.
"""


@dataclass(frozen=True)
class Finalist:
    """A configuration after finalize.

    Attributes:
        configuration: the configuration, with the trial that it is from.
        seeds: number of seeds on which it was judged.
        failed: label of each training that failed, such as "failed: diverged".
        validation: the objective over the seeds; None without a complete training.
        test: the test metric over the seeds; None if it was not measured.
        generalization: where its mean lies on new seeds and new test examples, at 95 %; None with
            fewer than three seeds.
        optimism: by how much the search score was better than the mean of the re-trained ones, in
            the unit of the objective; negative if it was worse. None without a search score.
        comparison: with the leader; None of the leader itself, and if it was not judged.
        is_leader: whether it leads on validation.
        trainings: numbers of its complete trainings.
    """

    configuration: FinalistConfiguration
    seeds: int
    failed: tuple[str, ...]
    validation: MeanInterval | None
    test: MeanInterval | None
    generalization: Interval | None
    optimism: float | None
    comparison: Comparison | None
    is_leader: bool
    trainings: tuple[int, ...]

    @property
    def trial(self) -> int:
        """Number of the trial that the configuration is from."""
        return self.configuration.trial

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

    def run_ids(self, runs: Mapping[int, str]) -> list[str]:
        """Return the ids of its complete trainings' runs in MLflow, as far as they are known.

        Args:
            runs: ids by the number of the training.
        """
        return [runs[number] for number in self.trainings if number in runs]

    def to_record(self, runs: Mapping[int, str]) -> dict[str, Any]:
        """Return what `--json` prints.

        Args:
            runs: ids of the trainings' runs in MLflow, by their number.
        """
        return {
            "trial": self.trial,
            "baseline": self.configuration.is_baseline,
            "params": dict(self.configuration.searched),
            "seeds": self.seeds,
            "failed": list(self.failed),
            "validation": interval_record(self.validation),
            "test": interval_record(self.test),
            "generalization": bounds_record(self.generalization),
            "search_value": self.configuration.search_value,
            "optimism": self.optimism,
            "verdict": self.verdict,
            "runs": self.run_ids(runs),
            "comparison": None if self.comparison is None else self.comparison.to_dict(),
        }


@dataclass(frozen=True)
class TestChance:
    """The leader beside a prediction that takes no network. The attributes are keys of `--json`.

    Attributes:
        value: test metric of the best constant prediction.
        what: what predicts it, in words.
        is_beaten: whether the leader's mean is better.
    """

    __test__ = False  # pytest takes the name for that of a test

    value: float
    what: str
    is_beaten: bool


@dataclass(frozen=True)
class Evaluation:
    """What a finalize found.

    Attributes:
        opening: which opening of the study's test set it is, from 1.
        splits: whether the validation split was drawn anew for every seed.
        planned: number of trainings in all.
        ended: number of trainings that are complete or have failed.
        is_opened: whether the test set was opened for it.
        is_judged: whether it has come to its end; there are no comparisons before.
        objective: by which validation chose the leader.
        metric: what the test set was measured by: "accuracy" or "mae".
        finalists: the configurations, in the order of their mean on validation, the best first.
        comparisons: all comparisons by the trials that are compared.
        examples: number of test examples; None if none was measured.
        chance: the leader beside a constant prediction; None before the leader is measured.
        runner_up: the trial of the next configuration that could be compared with the leader; None
            if there is none.
        smallest_gap: the smallest true gap between leader and runner-up that this budget finds in 4
            of 5 studies; None if it can't be estimated.
        needed: what the gap that the user named takes between these two; None if none was named.
    """

    opening: int
    splits: bool
    planned: int
    ended: int
    is_opened: bool
    is_judged: bool
    objective: Objective
    metric: str
    finalists: tuple[Finalist, ...]
    comparisons: Mapping[tuple[int, int], Comparison]
    examples: int | None
    chance: TestChance | None
    runner_up: int | None
    smallest_gap: float | None
    needed: NeededBudget | None

    @property
    def is_trained(self) -> bool:
        """Whether all trainings have ended; nothing leads before."""
        return self.ended == self.planned or self.is_opened

    @property
    def leader(self) -> int | None:
        """The trial whose configuration leads; None if none does."""
        return next((one.trial for one in self.finalists if one.is_leader), None)

    @property
    def leader_trainings(self) -> tuple[int, ...]:
        """Numbers of the leader's complete trainings; empty if none leads."""
        return next((one.trainings for one in self.finalists if one.is_leader), ())

    def leader_runs(self, runs: Mapping[int, str]) -> list[str]:
        """Return the ids of the leader's runs in MLflow; see `Finalist.run_ids`."""
        return [run_id for one in self.finalists if one.is_leader for run_id in one.run_ids(runs)]

    @property
    def in_points(self) -> bool:
        """Whether differences are shown as points of 100."""
        return self.metric == "accuracy"

    def to_record(self, runs: Mapping[int, str]) -> dict[str, Any]:
        """Return what `--json` prints, without `text`; see `sentences.to_full_record`.

        Args:
            runs: ids of the trainings' runs in MLflow, by their number.
        """
        needed = self.needed
        return {
            "openings": self.opening if self.is_opened else self.opening - 1,
            "finished": self.is_judged,
            "leader": self.leader,
            "objective": str(self.objective),
            "metric": f"test_{self.metric}",
            "test_examples": self.examples,
            "splits": self.splits,
            "alpha": level_of_opening(self.opening),
            "chance": None if self.chance is None else dataclasses.asdict(self.chance),
            "finalists": [finalist.to_record(runs) for finalist in self.finalists],
            "comparisons": [
                {"trial": first, "with": second, **comparison.to_dict()}
                for (first, second), comparison in self.comparisons.items()
            ],
            "runner_up": self.runner_up,
            "smallest_gap": self.smallest_gap,
            "gap": None
            if needed is None
            else {
                "gap": needed.gap,
                "seeds": needed.seeds,
                "test_examples": needed.test_examples,
            },
        }


def evaluate(
    record: FinalizeRecord,
    folder: Path,
    objectives: Objectives,
    task: Task,
    gap: float | None = None,
    is_judging: bool = False,
) -> Evaluation:
    """Return what a finalize has found so far.

    Args:
        record: its events.
        folder: with the predictions; see `predictions_file`.
        objectives: of the study.
        task: of the study.
        gap: a difference that matters to the user, in the unit of the test metric.
        is_judging: whether all of its networks are measured, so that it is judged now.

    Raises:
        RequestError: a file with predictions can't be read.
    """
    objective = judged_objective(objectives)
    trainings = group_by_finalist(record)
    ended = sum(map(len, trainings.values()))
    planned = len(planned_trainings(record.plan))
    measured = {
        trial: found
        for trial, of_trial in trainings.items()
        if (found := _read_scores(of_trial, folder, task)) is not None
    }
    scores = {trial: of_networks for trial, (of_networks, _) in measured.items()}
    validation = {
        trial: interval
        for trial, of_trial in trainings.items()
        if (interval := average_validation(of_trial, objectives, objective)) is not None
    }
    is_trained = ended == planned or record.test_set_opened is not None
    # Means over some of the seeds may name another leader.
    leader = _find_leader(record, validation, objective) if is_trained else None
    is_judged = is_judging or record.judged is not None
    # Verdicts on some of the seeds would be others than those at the end.
    comparisons = _judge(record, scores, leader, task) if is_judged else {}
    finalists = [
        _describe(
            configuration,
            trainings.get(configuration.trial, ()),
            validation.get(configuration.trial),
            scores.get(configuration.trial),
            task,
            objective,
            comparisons,
            leader,
        )
        for configuration in record.plan.finalists
    ]
    ordered = tuple(sorted(finalists, key=lambda one: _rank(one, objective)))
    runner_up = next((one for one in ordered if one.is_compared), None)
    nearest = None if runner_up is None else runner_up.comparison
    return Evaluation(
        opening=record.plan.opening,
        splits=record.plan.splits,
        planned=planned,
        ended=ended,
        is_opened=record.test_set_opened is not None,
        is_judged=is_judged,
        objective=objective,
        metric=TEST_METRIC[task],
        finalists=ordered,
        comparisons=comparisons,
        examples=next((found.shape[1] for found in scores.values()), None),
        chance=None
        if leader is None or leader not in measured
        else _compare_with_constant(*measured[leader], task),
        runner_up=None if runner_up is None else runner_up.trial,
        smallest_gap=None if nearest is None else smallest_gap(nearest),
        needed=None if gap is None or nearest is None else needed_seeds(nearest, gap),
    )


def group_by_finalist(record: FinalizeRecord) -> dict[int, list[Training]]:
    """Return the planned trainings of each finalist that ended, in the order of their numbers."""
    found: dict[int, list[Training]] = {}
    for training in record.ended_by_seed().values():
        assert training.begun.finalist is not None
        found.setdefault(training.begun.finalist, []).append(training)
    return found


def _read_scores(
    trainings: Sequence[Training], folder: Path, task: Task
) -> tuple[NDArray[np.float64], NDArray[Any]] | None:
    """Return the score of each test example by each network (seeds, examples), and the targets."""
    rows = []
    targets: NDArray[Any] | None = None
    for training in trainings:
        if training.tested is None or training.tested.error is not None:
            continue
        scores, targets = read_test_scores(predictions_file(folder, training.begun.trial), task)
        rows.append(scores)
    return None if targets is None else (np.stack(rows), targets)


def _compare_with_constant(
    scores: NDArray[np.float64], targets: NDArray[Any], task: Task
) -> TestChance:
    """Return the mean of the scores beside that of the constant that is best on the test set."""
    mean = float(scores.mean())
    if task == "classification":
        share = float(np.unique(targets, return_counts=True)[1].max() / len(targets))
        return TestChance(share, "the share of the largest class of the test set", mean > share)
    error = float(np.abs(targets - np.median(targets, axis=0)).mean())
    return TestChance(error, "the error of predicting the median of the test set", mean < error)


def read_test_scores(path: Path, task: Task) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return the score of each test example by one network, and the targets.

    Args:
        path: file with its predictions.
        task: of the study.

    Returns:
        Scores (examples,): 1 where the network is right and 0 where it is wrong, or its absolute
        error, the mean over the outputs. Targets (examples, ...).

    Raises:
        RequestError: the file can't be read.
    """
    try:
        predictions, targets = read_predictions(path)
    except (OSError, ValueError, KeyError) as error:
        raise RequestError(
            f"{path} must hold the predictions of a finalist, but can't be read ({error}): "
            "copy it back; to finalize again opens the test set once more."
        ) from None
    if task == "classification":
        return (predictions == targets).astype(np.float64), targets
    errors = np.abs(predictions - targets)
    return errors.reshape(len(errors), -1).mean(axis=1), targets


def average_validation(
    trainings: Sequence[Training], objectives: Objectives, objective: Objective
) -> MeanInterval | None:
    """Return an objective over the seeds that are complete; None if none is."""
    index = objectives.each.index(objective)
    values = [
        training.end.values[index]
        for training in trainings
        if training.end is not None and training.is_complete
    ]
    return mean_interval(values) if values else None


def _find_leader(
    record: FinalizeRecord, validation: Mapping[int, MeanInterval], objective: Objective
) -> int | None:
    if record.test_set_opened is not None:
        return record.test_set_opened.leader
    leader = find_leader({str(trial): found for trial, found in validation.items()}, objective)
    return None if leader is None else int(leader)


def find_leader(validation: Mapping[str, MeanInterval], objective: Objective) -> str | None:
    """Return the configuration that leads on validation; None if there is none.

    A configuration with fewer than three seeds, which gets no verdict, leads only if no other has
    three.

    Args:
        validation: the objective over the seeds, by configuration.
        objective: the objective.
    """
    enough = {name: found for name, found in validation.items() if found.seeds >= MIN_SEEDS}
    means = {name: found.mean for name, found in (enough or validation).items()}
    if not means:
        return None
    return choose_leader(means, greater_is_better=objective.direction == "maximize")


def _judge(
    record: FinalizeRecord,
    scores: Mapping[int, NDArray[np.float64]],
    leader: int | None,
    task: Task,
) -> dict[tuple[int, int], Comparison]:
    if leader is None or leader not in scores or len(scores) < 2:
        return {}
    named = {str(trial): found for trial, found in scores.items()}
    compare = functools.partial(compare_scores, greater_is_better=task == "classification")
    verdicts = judge(named, str(leader), compare=compare, openings=record.plan.opening)
    return {(int(first), int(second)): found for (first, second), found in verdicts.items()}


def _describe(
    configuration: FinalistConfiguration,
    trainings: Sequence[Training],
    validation: MeanInterval | None,
    scores: NDArray[np.float64] | None,
    task: Task,
    objective: Objective,
    comparisons: Mapping[tuple[int, int], Comparison],
    leader: int | None,
) -> Finalist:
    sign = 1.0 if objective.direction == "maximize" else -1.0
    search_value = configuration.search_value
    complete = [training.begun.trial for training in trainings if training.is_complete]
    return Finalist(
        configuration=configuration,
        seeds=len(complete) if scores is None else len(scores),
        failed=label_failures(trainings),
        validation=validation,
        test=None if scores is None else mean_interval(scores.mean(axis=1)),
        generalization=None
        if scores is None
        else generalization_interval(scores, is_share=task == "classification"),
        optimism=None
        if validation is None or search_value is None
        else sign * (search_value - validation.mean),
        comparison=None if leader is None else comparisons.get((configuration.trial, leader)),
        is_leader=configuration.trial == leader,
        trainings=tuple(complete),
    )


def label_failures(trainings: Sequence[Training]) -> tuple[str, ...]:
    """Return a label for each training that failed, or whose network could not be measured."""
    failed = [
        training.end.label
        for training in trainings
        if training.end is not None and not training.is_complete
    ]
    unmeasured = [
        f"not measured: {training.tested.error}"
        for training in trainings
        if training.tested is not None and training.tested.error is not None
    ]
    return (*failed, *unmeasured)


def _rank(finalist: Finalist, objective: Objective) -> tuple[bool, float]:
    if finalist.validation is None:
        return True, 0.0
    mean = finalist.validation.mean
    return not finalist.is_leader, -mean if objective.direction == "maximize" else mean


def bounds_record(interval: Interval | None) -> dict[str, float] | None:
    """Return the ends of an interval, as JSON takes them."""
    return None if interval is None else {"low": interval.low, "high": interval.high}


def interval_record(interval: MeanInterval | None) -> dict[str, Any] | None:
    """Return mean, standard deviation and interval, as JSON takes them."""
    if interval is None:
        return None
    return {
        name: value if value is None or math.isfinite(value) else None
        for name, value in (
            ("mean", interval.mean),
            ("sd", interval.sd),
            ("low", interval.low),
            ("high", interval.high),
        )
    }
