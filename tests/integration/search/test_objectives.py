"""Multiple objectives, and objectives that are costs."""

from __future__ import annotations

from assay.search.events import EpochEnded, TrialEnded
from assay.search.workers.protocol import Trial
from tests.helpers.lab import Lab

BOTH = ("maximize val_accuracy", "minimize parameters")
TRIALS = [(0.5, 100), (0.9, 1000), (0.6, 100), (0.6, 500), (0.95, 1000), (0.6, 100)]
"""Accuracy and parameters; 2 and 4 are on the front, 5 equals 2."""


def script(trial: Trial) -> dict[str, object]:
    accuracy, parameters = TRIALS[trial.number]
    return {"curve": [0.1, 0.2, 0.3, accuracy], "parameters": parameters}


def test_the_pareto_front_contains_the_nondominated_trials(lab: Lab) -> None:
    study = lab.run(len(TRIALS), script, workers=1, objectives=BOTH)
    assert study.best_trials() == {4: (0.95, 1000.0), 2: (0.6, 100.0)}
    assert {trial.number for trial in study.study.best_trials} == {
        2,
        4,
        5,
    }  # Optuna counts equal trials too
    assert [trial.values for trial in study.study.trials] == [
        [accuracy, float(size)] for accuracy, size in TRIALS
    ]
    assert list(lab.study(objectives=BOTH).best_trials()) == [4, 2], (
        "another process sees another front"
    )


def test_the_models_of_the_whole_front_are_kept(lab: Lab) -> None:
    lab.run(len(TRIALS), script, workers=1, objectives=BOTH)
    kept = [lab.model_store.find_model(number) for number in range(len(TRIALS))]
    assert [number for number, path in enumerate(kept) if path is not None] == [2, 4]


def test_several_objectives_disable_pruning(lab: Lab) -> None:
    study = lab.study(pruner="median", objectives=BOTH)
    scripted = [0.9] * 6 + [0.1] * 6
    lab.run(
        12,
        lambda trial: {"curve": [scripted[trial.number]] * 4},
        workers=1,
        study=study,
        objectives=BOTH,
    )
    assert study.count_by_state() == {"complete": 12, "pruned": 0, "failed": 0, "interrupted": 0}


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


def test_a_trial_without_the_objective_fails_and_the_search_continues(lab: Lab) -> None:
    def script(trial: Trial) -> dict[str, object]:
        return curve_of("val_auc" if trial.number else "val_accuracy")

    study = lab.run(2, script, workers=1, objectives=["maximize val_auc"])
    assert study.count_by_state() == {"complete": 2, "pruned": 0, "failed": 1, "interrupted": 0}
    assert (
        study.study.trials[0].user_attrs["assay.state"]
        == "failed: error: the model measures no val_auc"
    )


def curve_of(metric: str) -> dict[str, object]:
    return {"curve": [0.1, 0.2, 0.3, 0.4], "metric": metric}


def test_conditional_parameters_are_suggested_only_when_they_exist(lab: Lab) -> None:
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
    assert [study.decode_params(trial) for trial in study.study.trials] == seen, (
        "the storage gives back what was trained"
    )
