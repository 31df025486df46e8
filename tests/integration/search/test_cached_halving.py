"""CachedSuccessiveHalvingPruner makes the same decisions as Optuna's pruner."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.pruners import BasePruner, HyperbandPruner, SuccessiveHalvingPruner
from optuna.trial import TrialState

from assay.search.pruners.cached_halving import CachedHyperbandPruner, CachedSuccessiveHalvingPruner

EPOCHS = 9
HALVING = {
    "min_resource": 1,
    "reduction_factor": 2,
    "min_early_stopping_rate": 0,
    "bootstrap_count": 0,
}
HYPERBAND = {"min_resource": 1, "max_resource": EPOCHS, "reduction_factor": 3, "bootstrap_count": 2}
PAIRS: dict[str, tuple[Callable[[], BasePruner], Callable[[], BasePruner]]] = {
    "asha": (
        lambda: CachedSuccessiveHalvingPruner(**HALVING),
        lambda: SuccessiveHalvingPruner(**HALVING),
    ),
    "hyperband": (lambda: CachedHyperbandPruner(**HYPERBAND), lambda: HyperbandPruner(**HYPERBAND)),
}


def lengths(storage: Any, pruner: Callable[[], BasePruner], direction: str) -> list[int]:
    """Return the epochs of each trial, with three running and a resume halfway."""
    chance, trained = random.Random(1), []
    for session in range(2):
        study = optuna.create_study(
            storage=storage,
            study_name="study",
            direction=direction,
            pruner=pruner(),
            load_if_exists=True,
        )
        running = [(study.ask(), [0]) for _ in range(3)]
        while len(trained) < 15 * (session + 1):
            trial, epochs = running.pop(chance.randrange(3))
            epochs[0] += 1
            value = float("nan") if chance.random() < 0.02 else round(chance.random(), 1)
            trial.report(value, epochs[0])
            if trial.should_prune() or epochs[0] == EPOCHS:
                study.tell(trial, state=TrialState.PRUNED)
                trained.append(epochs[0])
                trial, epochs = study.ask(), [0]
            running.append((trial, epochs))
    return trained


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_decisions_equal_those_of_optuna(name: str, direction: str) -> None:
    ours, theirs = (
        lengths(optuna.storages.InMemoryStorage(), pruner, direction) for pruner in PAIRS[name]
    )
    assert ours == theirs
    assert len(set(ours)) > 1


@pytest.mark.parametrize("name", PAIRS)
def test_decisions_in_a_database_equal_those_in_memory(tmp_path: Path, name: str) -> None:
    """The database returns NaN in another form, and its trials have other ids."""
    cached, _ = PAIRS[name]
    stored, remembered = (
        lengths(storage, cached, "minimize")
        for storage in (f"sqlite:///{tmp_path / 'optuna.db'}", optuna.storages.InMemoryStorage())
    )
    assert stored == remembered
