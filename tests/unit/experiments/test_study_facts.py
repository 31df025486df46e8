"""Facts of a study, as Optuna and journals have them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from assay.experiments.evaluation.study_facts import (
    Range,
    ValidationFacts,
    read_study_facts,
    read_training,
)
from assay.search.events import EpochEnded, Event, StudyOpened, TrialBegun, TrialEnded
from assay.search.journal import Journal
from assay.search.objective import Objectives

ACCURACY = Objectives.read(["maximize val_accuracy"])
DISTRIBUTIONS = {
    "rate": FloatDistribution(1e-4, 1e-1, log=True),
    "units": IntDistribution(8, 128),
    "fixed": IntDistribution(3, 3),
    "kind": CategoricalDistribution(["a", "b"]),
}
PARAMS = {"rate": 1e-2, "units": 16, "fixed": 3, "kind": "a"}


def trial(ended: TrialState, value: float | None = None, **attributes: Any) -> FrozenTrial:
    named = {f"assay.{name}": value for name, value in attributes.items()}
    return create_trial(
        state=ended, value=value, params=PARAMS, distributions=DISTRIBUTIONS, user_attrs=named
    )


def make_study(*trials: FrozenTrial, **attributes: Any) -> optuna.Study:
    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    for name, value in {"study_id": "one", **attributes}.items():
        study.set_user_attr(f"assay.{name}", value)
    return study


def opened(study_id: str = "one", **data: Any) -> StudyOpened:
    return StudyOpened(
        study="s", study_id=study_id, experiment="e", provenance={}, text="", data=data
    )


def begun(number: int, **params: Any) -> TrialBegun:
    return TrialBegun(trial=number, seed=1, params=params, searched={}, origin="tpe")


def epoch(number: int, at: int, **metrics: float) -> EpochEnded:
    return EpochEnded(trial=number, epoch=at, metrics=metrics, seconds=0.1)


def write(path: Path, events: Sequence[Event]) -> Path:
    with Journal(path) as journal:
        for event in events:
            journal.append(event)
    return path


def test_trials_have_their_states_values_and_origins() -> None:
    facts = read_study_facts(
        make_study(
            trial(TrialState.COMPLETE, 0.5, baseline=True),
            trial(TrialState.COMPLETE, 0.9),
            trial(TrialState.PRUNED),
            trial(TrialState.FAIL, state="failed: diverged"),
            trial(TrialState.FAIL),
            trial(TrialState.RUNNING),
        ),
        ACCURACY,
        [],
    )
    states = [found.state for found in facts.trials]
    assert states == ["complete", "complete", "pruned", "failed: diverged", "failed"]
    assert (facts.values, facts.pruned, facts.tried) == ([0.5, 0.9], 1, 3)
    assert facts.best is not None
    assert facts.best_baseline is not None
    assert (facts.best.number, facts.best_baseline.number) == (1, 0)
    # Choices and a single value have no edge.
    assert facts.ranges == {"rate": Range(1e-4, 1e-1, True), "units": Range(8, 128)}
    assert facts.training is None


@pytest.mark.parametrize(
    ("found", "value", "position"),
    [
        (Range(1e-4, 1e-1, True), 1e-4, 0.0),
        (Range(1e-4, 1e-1, True), 1e-2, 2 / 3),
        (Range(8, 128), 128, 1.0),
        (Range(8, 128), 68, 0.5),
    ],
)
def test_a_position_is_on_the_ranges_own_scale(found: Range, value: float, position: float) -> None:
    assert found.position(value) == pytest.approx(position)


def test_the_data_are_those_of_the_journal(tmp_path: Path) -> None:
    data = {
        "input_shape": [8, 8, 1],
        "train_examples": 1000,
        "validation_examples": 200,
        "majority_share": 0.25,
        "constant_errors": {},
    }
    journal = write(
        tmp_path / "a.jsonl",
        [opened("other", validation_examples=7), opened(), opened(**data)],
    )
    study = make_study(identity={"split": {"validation": 200, "train": 1000}})
    expected = ValidationFacts(200, 1000, 0.25, {}, "images")
    assert read_study_facts(study, ACCURACY, [journal]).validation == expected
    # Of an earlier release, and of another home.
    for journals in ([write(tmp_path / "b.jsonl", [opened(input_shape=[8])])], []):
        known = ValidationFacts(200, 1000, None, {}, "examples")
        assert read_study_facts(study, ACCURACY, journals).validation == known
    assert read_study_facts(make_study(), ACCURACY, []).validation == ValidationFacts()


@pytest.mark.parametrize(
    "data",
    [
        {"validation_examples": "many", "majority_share": "large", "constant_errors": 3},
        {"validation_examples": -1, "majority_share": True, "constant_errors": {"mae": "x"}},
        {"validation_examples": 0, "majority_share": float("nan"), "input_shape": "wide"},
        {"validation_examples": True},
    ],
)
def test_a_changed_journal_says_nothing(tmp_path: Path, data: dict[str, Any]) -> None:
    journal = write(tmp_path / "a.jsonl", [opened(**data)])
    facts = read_study_facts(make_study(identity={"split": "none"}), ACCURACY, [journal])
    assert facts.validation == ValidationFacts()


def test_the_training_of_one_trial_is_read(tmp_path: Path) -> None:
    ended = TrialEnded(trial=1, state="complete", values=(0.7,), metrics={"restored_epoch": 2})
    events: list[Event] = [
        opened("other"),
        begun(1, loss="old"),
        epoch(1, 1, val_accuracy=0.1),
        opened(),
        begun(1, loss="cross_entropy"),
        begun(11),
        epoch(1, 1, val_accuracy=0.5, loss=2),
        epoch(11, 1, val_accuracy=0.9),
        epoch(1, 2, val_accuracy=0.6, loss=1.5),
        epoch(1, 3, val_accuracy=0.65, loss=1.4),
        # Its worker has died: it was resumed after the first epoch, and ended with the second.
        epoch(1, 2, val_accuracy=0.7, loss=1.2),
        ended,
    ]
    journals = [tmp_path / "none.jsonl", write(tmp_path / "a.jsonl", events)]
    found = read_training(journals, "one", 1)
    assert found is not None
    assert found.curves == {"val_accuracy": [0.5, 0.7], "loss": [2.0, 1.2]}
    assert (found.restored_epoch, found.epochs, found.epoch) == (2, 2, 2)
    assert found.params == {"loss": "cross_entropy"}
    assert found.metric_of_value("val_accuracy") == 0.7
    assert found.metric_of_value("val_f1") is None
    assert read_training(journals, "one", 2) is None
    assert read_training(journals, "another", 1) is None
    eleventh = read_training(journals, "one", 11)
    assert eleventh is not None
    assert eleventh.curves == {"val_accuracy": [0.9]}
