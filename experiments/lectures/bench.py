"""What lecture experiments measure with: networks that are trained as studies, on several seeds."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from assay.experiments import api
from assay.experiments.config.toml_text import parse_toml
from assay.experiments.decision.files import predictions_file
from assay.experiments.decision.load import FinalizedStudy, load_finalizes
from assay.experiments.decision.outcome import (
    Evaluation,
    Finalist,
    group_by_finalist,
    read_test_scores,
)
from assay.experiments.evaluation.summaries import MeanInterval
from assay.experiments.evaluation.verdicts import MIN_SEEDS, Comparison, compare_scores
from assay.experiments.lectures.rules import Number
from assay.experiments.results.finalizes import Training
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError
from assay.models.tasks import Task

Size: TypeAlias = Literal["toy", "short", "full"]
"""How much is measured: for tests of the code, in minutes, or all of the data."""

REPRODUCE = (
    "Networks of {study} are made by a function. 'assay reproduce RUN_ID' takes one with "
    "--experiment FILE.toml; the file is an artifact of the study in MLflow."
)
"""A note on the page about a study whose family is a function, with `study`."""

# A study of one configuration is compared with those of others here, and several experiments have
# one test set: each is about a claim of its own.
_EXPECTED_WARNINGS = (
    "only one configuration is trained again",
    "other studies of this home have opened the same test set",
)

_Value = TypeVar("_Value")
_Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Bench:
    """Where an experiment trains, and how much.

    Attributes:
        store_paths: the stores in which its studies are.
        folder: where the files of its experiments are while they run: finalize runs a function that
            makes networks only if the file still names it. Not in home, from which no code is run.
        size: how much is measured.
        say: called with a line about what happens.
    """

    store_paths: StorePaths
    folder: Path
    size: Size = "short"
    say: Callable[[str], object] = lambda line: None

    def pick(self, *, toy: _Value, short: _Value, full: _Value) -> _Value:
        """Return the value for the size that is measured."""
        return {"toy": toy, "short": short, "full": full}[self.size]

    def train(self, name: str, experiment: str, seeds: int) -> TrainedStudy:
        """Train each configuration of an experiment on several seeds, and measure the test set.

        The configurations are the experiment's baselines. They are trained once by a sweep, and on
        new seeds by finalize, with verdicts. What an earlier call has trained is read again.

        Args:
            name: what the study is about; "lecture-" stands before it.
            experiment: the experiment as TOML.
            seeds: number of seeds of each configuration; at toy size three, which have verdicts.

        Raises:
            RequestError: home has a study of this name that is another experiment, or the data are
                not at hand.
            SearchError: training failed.
        """
        seeds = self.pick(toy=MIN_SEEDS, short=seeds, full=seeds)
        study = f"lecture-{name}{'' if self.size == 'short' else f'-{self.size}'}"
        self._sweep(study, experiment)
        finalized, _ = load_finalizes(study, self.store_paths)
        if finalized is None or finalized.record.plan.seeds != seeds:
            self.say(f"{study}: each configuration on {seeds} seeds")
            with warnings.catch_warnings():
                for text in _EXPECTED_WARNINGS:
                    warnings.filterwarnings("ignore", text, UserWarning)
                api.finalize(
                    study,
                    top=1,
                    seeds=seeds,
                    register=False,
                    report=False,
                    progress=False,
                    **self._stores,
                )
            finalized, _ = load_finalizes(study, self.store_paths)
        assert finalized is not None
        return TrainedStudy(study, finalized, finalized.evaluate())

    def _sweep(self, study: str, experiment: str) -> None:
        baselines = len(parse_toml(experiment)["baseline"])
        file = self.folder / f"{study}.toml"
        file.write_text(experiment, encoding="utf-8")
        self.say(f"{study}: {baselines} configurations")
        api.sweep(
            file,
            study=study,
            trials=baselines,
            sampler="random",
            pruner="none",
            progress=False,
            **self._stores,
        )

    @property
    def _stores(self) -> dict[str, Any]:
        paths = self.store_paths
        return {
            "home": paths.workspace.path,
            "data_dir": paths.data_dir,
            "storage": paths.storage,
            "tracking_uri": paths.tracking_uri,
        }


@dataclass(frozen=True)
class TrainedConfiguration:
    """A configuration that was trained on several seeds.

    Attributes:
        finalist: what finalize found of it.
        trainings: its trainings, one for each seed.
        folder: the files with what its networks predict on the test set.
        task: of the study.
    """

    finalist: Finalist
    trainings: Sequence[Training]
    folder: Path
    task: Task

    @property
    def params(self) -> Mapping[str, Any]:
        """Its searched hyperparameters."""
        return self.finalist.configuration.searched

    @property
    def test(self) -> Number:
        """The test metric: its mean over the seeds, on these test examples.

        Raises:
            RequestError: none of its networks could be measured.
        """
        if self.finalist.test is None:
            raise RequestError(
                f"trial {self.finalist.trial} has no network that was measured on the test set."
            )
        return to_number(self.finalist.test)

    @property
    def scores(self) -> _Array:
        """Score of each test example by each network (seeds, examples); see `read_test_scores`."""
        return np.stack(
            [
                read_test_scores(predictions_file(self.folder, one.begun.trial), self.task)[0]
                for one in self.trainings
                if one.tested is not None and one.tested.error is None
            ]
        )

    def curve(self, metric: str) -> _Array:
        """Return a metric by epoch as an array (seeds, epochs), up to the shortest training."""
        curves = [
            [float(epoch.metrics[metric]) for epoch in training.epochs if metric in epoch.metrics]
            for training in self.trainings
        ]
        shortest = min(map(len, curves), default=0)
        return np.array([curve[:shortest] for curve in curves], np.float64)


@dataclass(frozen=True)
class TrainedStudy:
    """The configurations of a study, each trained on several seeds.

    Attributes:
        name: of the study.
        finalized: its finalize.
        evaluation: what finalize found.
    """

    name: str
    finalized: FinalizedStudy
    evaluation: Evaluation

    def find(self, **params: Any) -> TrainedConfiguration:
        """Return the configuration with these hyperparameters.

        Example:
            >>> trained.find(activation="tanh").test.value

        Raises:
            KeyError: there is none, or several.
        """
        found = [
            one
            for one in self.evaluation.finalists
            if params.items() <= dict(one.configuration.searched).items()
        ]
        if len(found) != 1:
            raise KeyError(f"{len(found)} configurations have {params}")
        trainings = group_by_finalist(self.finalized.record).get(found[0].trial, [])
        return TrainedConfiguration(found[0], trainings, self.finalized.folder, self.finalized.task)


def compare(
    configurations: Mapping[str, TrainedConfiguration],
) -> Mapping[tuple[str, str], Number]:
    """Return the test metric of each configuration minus that of each other one.

    The intervals are those of `compare_scores`: over new seeds and new test examples.

    Args:
        configurations: by name; of studies that have one test set.
    """
    scores = {name: one.scores for name, one in configurations.items()}
    return {
        (first, second): _to_difference(
            compare_scores(scores[first], scores[second], greater_is_better=True)
        )
        for first, second in itertools.permutations(scores, 2)
    }


def to_number(interval: MeanInterval, unit: str = "") -> Number:
    """Return a mean over seeds as a number."""
    return Number(interval.mean, interval.low, interval.high, interval.seeds, unit)


def _to_difference(comparison: Comparison) -> Number:
    return Number(comparison.difference, comparison.low, comparison.high, min(comparison.seeds))
