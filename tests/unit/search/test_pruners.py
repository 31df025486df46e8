"""Behaviour of every pruner. A step is an epoch; epochs count from 1."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import optuna
import pytest

from assay.models.errors import RequestError
from assay.models.settings import Settings
from assay.search.pruners import PRUNERS, get_pruner, make_pruner

EPOCHS = 16
PRUNING = [name for name in PRUNERS if name != "none"]


def options(name: str, given: dict[str, Any]) -> Settings:
    return PRUNERS[name].settings.read(given, "options")


def trained(
    pruner: optuna.pruners.BasePruner, levels: Sequence[float], epochs: int = EPOCHS
) -> list[int]:
    """Train trials with these values one by one; return the epochs of each."""
    study = optuna.create_study(direction="maximize", pruner=pruner, study_name="study")
    lengths = []
    for level in levels:
        trial = study.ask()
        length = epochs
        for epoch in range(
            1, epochs
        ):  # a trial is complete after its last epoch, whatever the pruner decides
            trial.report(level, epoch)
            if trial.should_prune():
                length = epoch
                break
        study.tell(
            trial,
            level if length == epochs else None,
            optuna.trial.TrialState(1 if length == epochs else 2),
        )
        lengths.append(length)
    return lengths


@pytest.mark.parametrize("name", PRUNING)
def test_trials_of_decreasing_quality_are_stopped_early(name: str) -> None:
    lengths = trained(make_pruner(name, EPOCHS), [1 - number / 40 for number in range(40)])
    assert lengths[0] == EPOCHS
    assert sum(length < EPOCHS for length in lengths) > 20


@pytest.mark.parametrize("name", PRUNERS)
def test_a_new_best_trial_is_never_stopped(name: str) -> None:
    assert (
        trained(make_pruner(name, EPOCHS), [number / 20 for number in range(20)]) == [EPOCHS] * 20
    )


@pytest.mark.parametrize("name", ["asha", "hyperband"])
def test_successive_halving_needs_no_complete_trial(name: str) -> None:
    study = optuna.create_study(
        direction="maximize", pruner=make_pruner(name, EPOCHS), study_name="study"
    )
    trials = [study.ask() for _ in range(20)]
    for number, trial in enumerate(trials):
        trial.report(-number, 1)
    pruned = [trial.should_prune() for trial in trials]
    assert any(pruned)


@pytest.mark.parametrize("name", PRUNERS)
def test_trials_of_one_epoch_are_never_stopped(name: str) -> None:
    assert trained(make_pruner(name, 1), [0.5, 0.4, 0.3], epochs=1) == [1, 1, 1]


def test_without_a_pruner_every_trial_trains_all_its_epochs() -> None:
    assert trained(make_pruner("none", EPOCHS), [0.5, 0.1, 0.0]) == [EPOCHS] * 3


@pytest.mark.parametrize(
    ("name", "given", "stops_after"),
    [
        ("median", {"n_startup_trials": 1}, 2),
        ("median", {"n_startup_trials": 1, "n_warmup_steps": 0}, 1),
        ("median", {"n_startup_trials": 1, "n_warmup_steps": 5, "interval_steps": 3}, 5),
        ("asha", {}, 1),
        ("asha", {"min_resource": 3}, 3),
        ("asha", {"reduction_factor": 2, "min_early_stopping_rate": 3}, 8),
        ("hyperband", {"min_resource": 10}, 10),
    ],
)
def test_options_set_the_first_epoch_that_can_be_stopped(
    name: str, given: dict[str, Any], stops_after: int
) -> None:
    lengths = trained(make_pruner(name, EPOCHS, options(name, given)), [0.9] * 4 + [0.1] * 8)
    assert min(lengths) == stops_after


@pytest.mark.parametrize("name", PRUNING)
def test_options_have_the_names_and_defaults_of_optuna(name: str) -> None:
    classes = {
        "asha": "SuccessiveHalvingPruner",
        "hyperband": "HyperbandPruner",
        "median": "MedianPruner",
    }
    other = {
        ("asha", "min_resource"): "auto",
        ("median", "n_warmup_steps"): 0,
    }  # their docstrings give the reasons
    known = inspect.signature(getattr(optuna.pruners, classes[name]).__init__).parameters
    defaults = get_pruner(name).settings().model_dump()
    assert {known[option].default for option in defaults if (name, option) in other} <= {"auto", 0}
    assert {o: known[o].default for o in defaults} == {
        o: other.get((name, o), defaults[o]) for o in defaults
    }


@pytest.mark.parametrize("pruner", PRUNERS.values(), ids=PRUNERS)
def test_every_option_is_described(pruner: Any) -> None:
    assert all(option.description for option in pruner.settings.model_fields.values())
    assert len(pruner.summary) < 120


@pytest.mark.parametrize("name", ["asha", "hyperband"])
def test_a_first_comparison_beyond_the_epochs_is_refused(name: str) -> None:
    assert make_pruner(name, EPOCHS, options(name, {"min_resource": EPOCHS}))
    with pytest.raises(
        RequestError, match=r"min_resource: must not exceed the 16 epochs of a trial; received 17"
    ):
        make_pruner(name, EPOCHS, options(name, {"min_resource": EPOCHS + 1}))


def test_a_rate_that_leaves_no_comparison_is_refused() -> None:
    with pytest.raises(
        RequestError, match=r"first be compared after epoch 64, and have 16; received 3"
    ):
        make_pruner("asha", EPOCHS, options("asha", {"min_early_stopping_rate": 3}))


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("asha", {"min_resource": 0}, "min_resource: .*received 0"),
        ("asha", {"min_resource": "auto"}, "min_resource: .*received 'auto'"),
        ("asha", {"reduction_factor": 1}, "reduction_factor: .*received 1"),
        ("asha", {"min_early_stopping_rate": -1}, "min_early_stopping_rate: .*received -1"),
        ("asha", {"bootstrap_count": -1}, "bootstrap_count: .*received -1"),
        ("hyperband", {"min_resource": 0}, "min_resource: .*received 0"),
        ("hyperband", {"reduction_factor": 2.5}, "reduction_factor: .*received 2.5"),
        ("hyperband", {"bootstrap_count": True}, "bootstrap_count: .*received True"),
        (
            "hyperband",
            {"max_resource": 9},
            "does not know 'max_resource': .*Did you mean 'min_resource'",
        ),
        ("median", {"n_startup_trials": -1}, "n_startup_trials: .*received -1"),
        ("median", {"n_warmup_steps": -1}, "n_warmup_steps: .*received -1"),
        ("median", {"interval_steps": 0}, "interval_steps: .*received 0"),
        ("median", {"n_min_trials": 0}, "n_min_trials: .*received 0"),
        ("none", {"patience": 3}, "does not know 'patience': it knows nothing"),
    ],
)
def test_an_invalid_option_is_refused_in_one_line(
    name: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        options(name, given)
    assert "\n" not in str(caught.value)
