"""Behaviour of every sampler, in a real study."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sqlite3
from pathlib import Path
from typing import Any

import optuna
import pytest

from assay.models.errors import RequestError, SearchError
from assay.models.settings import Settings
from assay.search.events import TrialEnded
from assay.search.objective import Objectives
from assay.search.plan import StudyRequest
from assay.search.samplers import SAMPLERS, make_sampler
from assay.search.space import read_space
from assay.search.space.grid import grid_configurations
from assay.search.storage.opening import open_storage
from assay.search.study import StudyTrials
from tests.helpers.spaces import COUNTABLE, SPACES, WIDE

INSTALLED = [
    name
    for name, sampler in SAMPLERS.items()
    if all(importlib.util.find_spec(package) is not None for package in sampler.packages)
]
EARLY: dict[str, dict[str, Any]] = {
    "tpe": {"n_startup_trials": 3},
    "gp": {"n_startup_trials": 3},
    "nsga2": {
        "population_size": 3,
        "crossover": "blxalpha",
        "crossover_prob": 1.0,
    },  # otherwise a child may equal its parent
}
"""Options that let a sampler leave random sampling after a few trials."""


def wide(name: str) -> dict[str, Any]:
    """Return a large space that the sampler can search."""
    return SPACES["a grid"] if name == "grid" else WIDE


def everything(name: str) -> dict[str, Any]:
    return SPACES["conditions" if name == "grid" else "everything"]


def options(name: str, given: dict[str, Any] | None = None) -> Settings:
    return SAMPLERS[name].settings.read(EARLY.get(name, {}) if given is None else given, "options")


Storage = optuna.storages.BaseStorage


def sqlite(folder: Path) -> Storage:
    return open_storage(f"sqlite:///{folder / 'optuna.db'}")


def memory() -> Storage:
    """Return a fast storage for tests that do not depend on the storage."""
    return optuna.storages.InMemoryStorage()


def open_study(
    storage: Storage, name: str, space: Any, seed: int = 0, given: dict[str, Any] | None = None
) -> StudyTrials:
    request = StudyRequest(
        name="study",
        space=read_space(space),
        objectives=Objectives.read(["maximize val_accuracy"]),
        fingerprint={},
        sampler=name,
        sampler_options=options(name, given),
        pruner="none",
        epochs=1,
        seed=seed,
    )
    return StudyTrials(storage, request)


def draw(study: StudyTrials, trials: int) -> list[dict[str, Any]]:
    """Run trials whose value is higher the closer their floats are to zero."""
    drawn = []
    for _ in range(trials):
        trial = study.ask()
        value = -sum(
            float(number) ** 2 for number in trial.searched.values() if isinstance(number, float)
        )
        study.tell(TrialEnded(trial=trial.number, state="complete", values=(value,)))
        drawn.append(dict(trial.searched))
    return drawn


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", INSTALLED)
def test_every_draw_is_in_the_space(name: str, space: str) -> None:
    if name == "cmaes" and space == "choices":
        pytest.skip("refused: there is nothing that it could search")
    if name == "grid" and space not in COUNTABLE:
        pytest.skip("refused: a range has no step")
    read = read_space(SPACES[space])
    for configuration in draw(open_study(memory(), name, SPACES[space]), 9):
        assert read.check(configuration, "drawn") == configuration


@pytest.mark.parametrize("name", INSTALLED)
def test_the_same_seed_and_history_give_the_same_draws(name: str) -> None:
    stories = []
    for storage in (memory(), memory()):
        before = draw(open_study(storage, name, everything(name), seed=4), 5)
        stories.append(before + draw(open_study(storage, name, everything(name), seed=4), 5))
    assert stories[0] == stories[1]


@pytest.mark.parametrize("name", INSTALLED)
def test_another_seed_gives_other_draws(name: str) -> None:
    given = {"scramble": True} if name == "qmc" else None
    first, second = (
        draw(open_study(memory(), name, wide(name), seed, given), 6) for seed in (1, 2)
    )
    assert all(one != other for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("name", INSTALLED)
def test_a_resumed_study_tries_no_configuration_twice(name: str, tmp_path: Path) -> None:
    drawn = [
        values
        for trials in (6, 1, 5)
        for values in draw(open_study(sqlite(tmp_path), name, wide(name)), trials)
    ]
    assert len({str(values) for values in drawn}) == 12


@pytest.mark.parametrize("name", INSTALLED)
def test_a_trial_that_dies_does_not_stop_the_sampler(name: str, tmp_path: Path) -> None:
    before = open_study(sqlite(tmp_path), name, wide(name))
    drawn = [*draw(before, 4), dict(before.ask().searched)]
    drawn += draw(open_study(sqlite(tmp_path), name, wide(name)), 4)
    # The grid has no gap: trials that were running are tried again.
    assert len({str(values) for values in drawn}) == (8 if name == "grid" else 9)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("tpe", {"n_startup_trials": 1}),
        ("tpe", {"n_startup_trials": 3, "n_ei_candidates": 1}),
        ("tpe", {"n_startup_trials": 3, "multivariate": False}),
        ("qmc", {"qmc_type": "halton"}),
        ("qmc", {"scramble": True}),
        ("cmaes", {"n_startup_trials": 5}),
        ("cmaes", {"use_separable_cma": True}),
        ("cmaes", {"lr_adapt": True}),
        ("cmaes", {"popsize": 4}),
        ("nsga2", {"population_size": 5}),
        ("nsga2", {**EARLY["nsga2"], "crossover": "sbx"}),
        ("nsga2", {**EARLY["nsga2"], "mutation_prob": 1.0}),
        ("nsga2", {**EARLY["nsga2"], "mutation_prob": 1.0, "mutation": "polynomial"}),
    ],
)
def test_an_option_changes_the_trials(name: str, given: dict[str, Any]) -> None:
    assert draw(open_study(memory(), name, WIDE, given=given), 16) != draw(
        open_study(memory(), name, WIDE), 16
    )


class TestGrid:
    @pytest.mark.parametrize("space", COUNTABLE)
    def test_every_configuration_is_tried_once(self, space: str, tmp_path: Path) -> None:
        expected = [dict(one) for one in grid_configurations(read_space(SPACES[space]))]
        storage, drawn = memory(), []
        while (study := open_study(storage, "grid", SPACES[space])).has_next():
            drawn += draw(study, min(7, len(expected) - len(drawn)))  # in sessions of seven
        assert sorted(map(str, drawn)) == sorted(map(str, expected))
        assert drawn != expected, "nothing was shuffled"

    def test_a_study_of_another_sampler_is_completed(self) -> None:
        storage, space = memory(), {"batch_size": [64, 128, 256, 512]}
        before = draw(open_study(storage, "random", space), 4)
        tried = {one["batch_size"] for one in before}
        assert len(tried) < 4, "chance has tried them all: another seed shows more"
        study = open_study(storage, "grid", space)
        assert study.configurations_left() == 4 - len(tried)
        after = draw(study, 4 - len(tried))
        assert {one["batch_size"] for one in after} == {64, 128, 256, 512} - tried
        assert not study.has_next()

    def test_enqueued_configurations_count(self) -> None:
        study = open_study(memory(), "grid", SPACES["conditions"])
        study.enqueue([{"kind": "a", "x": 0.3}, {"kind": "a"}], "baseline")
        size = len(list(grid_configurations(read_space(SPACES["conditions"]))))
        drawn = draw(study, size)
        assert drawn[0] == {"kind": "a", "x": 0.3}
        assert drawn[1]["kind"] == "a"
        assert len({str(one) for one in drawn}) == size
        assert not study.has_next()

    @pytest.mark.parametrize(
        ("space", "message"),
        [
            (WIDE, r"\[space\] x is 0.0 to 1.0; give it a step"),
            (
                {"a": {"low": 1, "high": 1000}, "b": {"low": 1, "high": 1000}},
                "a grid takes at most 100,000",
            ),
        ],
    )
    def test_a_space_that_is_infinite_or_too_large_is_refused(
        self, space: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(RequestError, match=message):
            open_study(memory(), "grid", space)


class TestQmc:
    @pytest.mark.parametrize(
        "given", [{}, {"scramble": True}, {"qmc_type": "halton", "scramble": True}]
    )
    def test_an_interrupted_sequence_continues(self, given: dict[str, Any]) -> None:
        whole = draw(open_study(memory(), "qmc", WIDE, 3, given), 9)
        storage = memory()
        parts = [
            values
            for trials in (5, 4)
            for values in draw(open_study(storage, "qmc", WIDE, 3, given), trials)
        ]
        assert parts == whole

    def test_a_sequence_covers_the_space_evenly(self) -> None:
        drawn = draw(open_study(memory(), "qmc", {"x": {"low": 0.0, "high": 8.0}}), 9)
        assert sorted(int(values["x"]) for values in drawn[1:]) == list(
            range(8)
        )  # the first is drawn at random


class TestCmaes:
    def test_a_space_of_choices_is_refused(self) -> None:
        for space in (SPACES["choices"], {"units": {"low": 3, "high": 3}}):
            with pytest.raises(
                RequestError, match=r"'cmaes' searches ranges of numbers.*--sampler"
            ):
                make_sampler("cmaes", 0, 0, read_space(space))

    def test_several_objectives_are_refused(self) -> None:
        with pytest.raises(RequestError, match=r"at most 1 objective; received 2.*nsga2"):
            make_sampler("cmaes", 0, 0, read_space(WIDE), objectives=2)

    @pytest.mark.parametrize("kind", ["use_separable_cma", "with_margin", "lr_adapt"])
    def test_every_variant_resumes_from_its_stored_state(self, kind: str) -> None:
        given = {kind: True, "popsize": 4}
        space = {**WIDE, "units": {"low": 1, "high": 64}}
        storage = memory()
        for _ in range(3):
            study = open_study(storage, "cmaes", space, given=given)
            draw(study, 12)
        trials = study.study.trials
        generations = [
            trial.system_attrs[key]
            for trial in trials
            for key in trial.system_attrs
            if "generation" in key
        ]
        assert generations == sorted(generations)
        assert (
            generations[-1] == 8
        )  # 36 trials in all, the first by chance, and the last generation under way

    def test_a_pickle_in_the_storage_is_never_loaded(self, tmp_path: Path) -> None:
        draw(open_study(sqlite(tmp_path), "cmaes", WIDE, given={"popsize": 4}), 8)
        (tmp_path / "marker").write_text("here")
        planted = f"cos\nremove\n(V{tmp_path / 'marker'}\ntR.".encode().hex()
        with contextlib.closing(sqlite3.connect(tmp_path / "optuna.db")) as database, database:
            changed = database.execute(
                "UPDATE trial_system_attributes SET value_json = ? "
                "WHERE key LIKE 'cma:optimizer:%'",
                (json.dumps(planted),),
            )
            assert changed.rowcount > 0
        with pytest.raises(SearchError, match=r"state of sampler 'cmaes'.*os.remove"):
            draw(open_study(sqlite(tmp_path), "cmaes", WIDE, given={"popsize": 4}), 1)
        assert (tmp_path / "marker").exists()


def test_a_refused_study_is_not_created() -> None:
    with pytest.raises(RequestError):
        open_study(storage := memory(), "cmaes", SPACES["choices"])
    assert optuna.get_all_study_names(storage) == []


@pytest.mark.parametrize("name", ["tpe", "random", "qmc", "nsga2"])
def test_samplers_search_for_several_objectives(name: str) -> None:
    space = read_space(WIDE)
    sampler = make_sampler(name, 0, 0, space, options(name), objectives=2)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    for _ in range(8):
        trial = study.ask({name: parameter.distribution for name, parameter in space.items()})
        study.tell(trial, [trial.params["x"], trial.params["rate"]])
    assert len({trial.params["x"] for trial in study.trials}) == 8


@pytest.mark.parametrize("crossover", ["uniform", "blxalpha", "sbx", "spx", "undx", "vsbx"])
@pytest.mark.parametrize("mutation", [{}, {"mutation": "polynomial"}])
def test_every_crossover_and_mutation_of_nsga2_stays_in_the_space(
    crossover: str, mutation: dict[str, str]
) -> None:
    given = {"crossover": crossover, "population_size": 3, **mutation}
    read = read_space(SPACES["everything"])
    for configuration in draw(open_study(memory(), "nsga2", SPACES["everything"], given=given), 8):
        assert read.check(configuration, "drawn") == configuration
