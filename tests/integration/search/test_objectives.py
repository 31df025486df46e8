"""Several objectives, and objectives that are costs."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.models.errors import RequestError
from assay.search.events import EpochEnded, TrialEnded
from assay.search.objective import Objectives, ParetoFront
from assay.search.workers.protocol import Trial
from tests.helpers.lab import Lab

BOTH = ("maximize val_accuracy", "minimize parameters")
TRIALS = [(0.5, 100), (0.9, 1000), (0.6, 100), (0.6, 500), (0.95, 1000), (0.6, 100)]
"""Accuracy and parameters; 2 and 4 are on the front, 5 comes to the same as 2."""


def script(trial: Trial) -> dict[str, object]:
    accuracy, parameters = TRIALS[trial.number]
    return {"curve": [0.1, 0.2, 0.3, accuracy], "parameters": parameters}


def test_the_pareto_front_is_what_no_trial_dominates(lab: Lab) -> None:
    study = lab.run(len(TRIALS), script, workers=1, objectives=BOTH)
    assert study.best_trials() == {4: (0.95, 1000.0), 2: (0.6, 100.0)}
    assert {trial.number for trial in study.study.best_trials} == {
        2,
        4,
        5,
    }  # Optuna counts equals too
    assert [trial.values for trial in study.study.trials] == [
        [accuracy, float(size)] for accuracy, size in TRIALS
    ]
    assert list(lab.study(objectives=BOTH).best_trials()) == [4, 2], (
        "another process sees another front"
    )


def test_the_models_of_the_whole_front_are_kept(lab: Lab) -> None:
    lab.run(len(TRIALS), script, workers=1, objectives=BOTH)
    kept = [lab.model_store.find(number) for number in range(len(TRIALS))]
    assert [number for number, path in enumerate(kept) if path is not None] == [2, 4]


def test_nothing_is_pruned_where_there_are_several_objectives(lab: Lab) -> None:
    study = lab.study(pruner="median", objectives=BOTH)
    scripted = [0.9] * 6 + [0.1] * 6
    lab.run(
        12,
        lambda trial: {"curve": [scripted[trial.number]] * 4},
        workers=1,
        study=study,
        objectives=BOTH,
    )
    assert study.counts() == {"complete": 12, "pruned": 0, "failed": 0}


def test_a_single_cost_can_be_the_objective(lab: Lab) -> None:
    study = lab.run(len(TRIALS), script, workers=1, objectives=["minimize parameters"])
    assert study.best_trials() == {0: (100.0,)}
    assert study.study.best_value == 100.0


def test_early_stopping_ends_a_trial_with_the_value_of_the_restored_epoch(lab: Lab) -> None:
    restored = {"epoch": 1, "metrics": {"loss": 0.2, "val_accuracy": 0.8}}
    stops = {"stopped": True, "restored": restored}
    study = lab.run(1, lambda trial: {"curve": [0.8, 0.7, 0.6], "stops": stops})
    assert study.best_trials() == {0: (0.8,)}
    (end,) = [event for event in lab.events() if isinstance(event, TrialEnded)]
    assert end.metrics["restored_epoch"] == 1
    assert sum(isinstance(event, EpochEnded) for event in lab.events()) == 3


def test_a_trial_that_does_not_measure_the_objective_fails_and_the_search_goes_on(lab: Lab) -> None:
    objectives = ["maximize val_auc"]
    other = lambda trial: curve_of("val_auc" if trial.number else "val_accuracy")
    study = lab.run(2, other, workers=1, objectives=objectives)
    assert study.counts() == {"complete": 2, "pruned": 0, "failed": 1}
    assert (
        study.study.trials[0].user_attrs["assay.state"]
        == "failed: error: the model measures no val_auc"
    )


def curve_of(metric: str) -> dict[str, object]:
    return {"curve": [0.1, 0.2, 0.3, 0.4], "metric": metric}


def test_conditional_parameters_are_asked_for_only_where_they_exist(lab: Lab) -> None:
    space = {
        "units": [[500], [900, 300]],
        "kind": ["a", "b"],
        "rate": {"low": 0, "high": 0.5, "step": 0.1, "when": {"kind": "b"}},
    }
    study = lab.study(space=space)
    study.enqueue([{"kind": "b", "units": [900, 300], "rate": 0.3}], "baseline")
    seen: list[dict[str, object]] = []

    def note(trial: Trial) -> dict[str, object]:
        seen.append(dict(trial.searched))
        return {"curve": [0.1, 0.2, 0.3, trial.number / 100]}

    lab.run(12, note, study=study)
    assert seen[0] == {"kind": "b", "units": [900, 300], "rate": 0.3}
    assert {("rate" in searched, searched["kind"]) for searched in seen} == {
        (True, "b"),
        (False, "a"),
    }
    assert [study.searched(trial) for trial in study.study.trials] == seen, (
        "the storage gives back what was trained"
    )


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["maximise val_loss"], "unknown direction 'maximise'"),
        (["maximize"], "an objective is a direction and a metric: received 'maximize'"),
        ([], "a search needs an objective"),
        (["maximize loss", "minimize loss"], "each metric may be one objective"),
    ],
)
def test_what_is_no_objective_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Objectives.read(texts)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20), st.randoms()
)
def test_leaders_are_those_that_a_comparison_of_all_pairs_finds(
    trials: Sequence[tuple[int, int]], order: random.Random
) -> None:
    objectives = Objectives.read(BOTH)
    best_trials = ParetoFront(objectives)
    values = {
        number: (float(accuracy), float(size)) for number, (accuracy, size) in enumerate(trials)
    }
    for number in order.sample(list(values), len(values)):
        admitted = best_trials.admits(number, values[number])
        best_trials.add(number, values[number])
        assert (number in best_trials.values) == admitted
    front = {
        (accuracy, size)
        for accuracy, size in trials
        if not any(
            (more >= accuracy and less <= size) and (more, less) != (accuracy, size)
            for more, less in trials
        )
    }
    assert {(int(accuracy), int(size)) for accuracy, size in best_trials.values.values()} == front
    assert len(best_trials.values) == len(front)
    assert all(
        number == trials.index((int(one), int(other)))
        for number, (one, other) in best_trials.values.items()
    )
    assert best_trials.ranked() == ParetoFront(objectives, values).ranked(), (
        "whoever counts again finds the same"
    )
