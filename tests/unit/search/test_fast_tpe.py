"""FastTPESampler suggests the same values as Optuna's TPESampler."""

from __future__ import annotations

import random
from typing import Any

import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from assay.search.samplers.fast_tpe import FastTPESampler
from assay.search.space import read_space
from assay.search.study import _suggest
from tests.helpers.spaces import SPACES


def suggested(
    sampler: TPESampler,
    space: dict[str, Any],
    trials: int = 60,
    directions: tuple[str, ...] = ("maximize",),
) -> list[dict[str, Any]]:
    """Return the suggestions of many trials, three of them running at a time."""
    study = optuna.create_study(directions=directions, sampler=sampler)
    known, chance = read_space(space), random.Random(0)
    running: list[optuna.Trial] = []
    for _ in range(trials):
        trial = study.ask()
        known.draw(lambda name, distribution, trial=trial: _suggest(trial, name, distribution))  # type: ignore[misc]
        running.append(trial)
        if len(running) == 3:
            ended = running.pop(chance.randrange(3))
            state = chance.choice(
                [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]
            )
            if state == TrialState.PRUNED and len(directions) == 1:
                for epoch in range(1, chance.choice([1, 2, 3])):
                    ended.report(round(chance.random(), 1), epoch)
            values = [round(chance.random(), 1) for _ in directions]  # with ties
            study.tell(ended, values if state == TrialState.COMPLETE else None, state)
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_suggestions_equal_those_of_optuna(space: str, direction: str) -> None:
    group = space == "conditions"
    ours, theirs = (
        suggested(kind(seed=7, group=group), SPACES[space], directions=(direction,))
        for kind in (FastTPESampler, TPESampler)
    )
    assert ours == theirs


@pytest.mark.parametrize(
    "options",
    [
        {"constant_liar": False},
        {"multivariate": False},
        {"n_startup_trials": 0},
        {"n_ei_candidates": 3},
    ],
)
def test_suggestions_are_equal_with_other_options(options: dict[str, Any]) -> None:
    ours, theirs = (
        suggested(kind(seed=7, **options), SPACES["everything"])
        for kind in (FastTPESampler, TPESampler)
    )
    assert ours == theirs


def test_suggestions_are_equal_with_several_objectives() -> None:
    both = ("maximize", "minimize")
    ours, theirs = (
        suggested(kind(seed=7), SPACES["floats"], directions=both)
        for kind in (FastTPESampler, TPESampler)
    )
    assert ours == theirs


def test_parameters_of_a_trial_are_converted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    own = optuna.distributions.FloatDistribution.to_internal_repr

    def counted(self: optuna.distributions.FloatDistribution, value: float) -> float:
        looked.append(1)
        return own(self, value)

    study = optuna.create_study(sampler=FastTPESampler(seed=0))
    distribution = optuna.distributions.FloatDistribution(0, 1)
    costs = []
    monkeypatch.setattr(optuna.distributions.FloatDistribution, "to_internal_repr", counted)
    for _ in range(60):
        looked.clear()
        study.tell(study.ask({"x": distribution}), 0.5)
        costs.append(len(looked))
    assert max(costs[15:]) <= costs[14]
