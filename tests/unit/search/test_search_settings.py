"""Settings of the [search] table, with the options of sampler and pruner."""

from __future__ import annotations

from typing import Any

import pytest

from assay.models.errors import RequestError
from assay.search.settings import SearchSettings
from assay.search.space import read_space

SPACE = read_space({"x": {"low": 0.0, "high": 1.0}})
GIVEN = {
    "sampler": "tpe",
    "sampler_options": {"n_startup_trials": 20},
    "pruner": "asha",
    "pruner_options": {"reduction_factor": 2},
}


def read(**table: Any) -> SearchSettings:
    return SearchSettings.read(table, "[search]")


def test_options_are_parsed_by_the_class_of_their_sampler_or_pruner() -> None:
    settings = read(**GIVEN)
    assert settings.read_sampler_options().model_dump()["n_startup_trials"] == 20
    assert settings.read_pruner_options().model_dump()["reduction_factor"] == 2
    assert read().read_sampler_options().model_dump()["n_startup_trials"] == 10


@pytest.mark.parametrize(
    ("changes", "sampler_options", "pruner_options"),
    [
        ({}, {"n_startup_trials": 20}, {"reduction_factor": 2}),
        ({"trials": 7}, {"n_startup_trials": 20}, {"reduction_factor": 2}),
        ({"sampler": "tpe"}, {"n_startup_trials": 20}, {"reduction_factor": 2}),
        ({"sampler": "gp"}, {}, {"reduction_factor": 2}),
        ({"sampler": "qmc", "pruner": "none"}, {}, {}),
        ({"pruner": "hyperband"}, {"n_startup_trials": 20}, {}),
        (
            {"sampler": "qmc", "sampler_options": {"scramble": True}},
            {"scramble": True},
            {"reduction_factor": 2},
        ),
    ],
)
def test_options_are_dropped_with_another_sampler_or_pruner(
    changes: dict[str, Any], sampler_options: dict[str, Any], pruner_options: dict[str, Any]
) -> None:
    settings = read(**GIVEN)
    changed = settings.changed(**changes)
    assert (changed.sampler_options, changed.pruner_options) == (sampler_options, pruner_options)
    assert settings == read(**GIVEN)
    assert changed.changed() == changed


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"sampler_options": {"n_startup": 3}},
            r"^\[search\] sampler_options does not know 'n_startup': it knows n_startup_trials, .*"
            r"Did you mean 'n_startup_trials'",
        ),
        (
            {"sampler_options": {"n_startup_trials": -1}},
            r"^\[search\] sampler_options n_startup_trials: "
            r"input should be greater than or equal to 0; received -1",
        ),
        (
            {"sampler": "random", "sampler_options": {"n_startup_trials": 3}},
            r"^\[search\] sampler_options does not know 'n_startup_trials': it knows nothing",
        ),
        (
            {"pruner": "asha", "pruner_options": {"reduction_factor": 1}},
            r"^\[search\] pruner_options reduction_factor: .*received 1",
        ),
        (
            {"pruner_options": {"n_warmup_steps": 1}},
            r"^\[search\] pruner_options does not know 'n_warmup_steps'",
        ),
        ({"sampler_options": 3}, r"^\[search\] sampler_options: .*dictionary; received 3"),
        ({"sampler": "cma"}, r"^\[search\] sampler: unknown sampler 'cma'.*Did you mean 'cmaes'"),
        ({"importance": "anova"}, r"^\[search\] importance: unknown importance 'anova'.*'fanova'"),
    ],
)
def test_an_invalid_value_is_refused_in_one_line_that_names_its_key(
    table: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        read(**table)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"sampler": "gp", "trials": 501},
            "'gp' is for at most 500 trials, since .* cube .*; received 501",
        ),
        ({"pruner": "asha", "pruner_options": {"min_resource": 5}}, "must not exceed the 4 epochs"),
        (
            {"pruner": "hyperband", "pruner_options": {"min_resource": 5}},
            "must not exceed the 4 epochs",
        ),
    ],
)
def test_incompatible_settings_are_refused_before_the_search(
    table: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        read(**table).check(SPACE, epochs=4)
    assert "\n" not in str(caught.value)


def test_a_sampler_is_checked_against_the_space() -> None:
    with pytest.raises(RequestError, match="ranges of numbers"):
        read(sampler="cmaes").check(read_space({"kind": ["a", "b"]}), epochs=4)
    read().check(SPACE, epochs=1)


def test_an_objective_the_wrong_way_is_refused_unless_the_file_allows_it() -> None:
    with pytest.raises(RequestError, match=r"^\[search\] objectives: val_loss is better the lower"):
        read(objectives=["maximize val_loss"])
    meant = read(objectives=["maximize val_loss"], any_direction=True)
    meant.check_directions({"loss": "minimize"})
    assert meant.changed(trials=3).objectives == ["maximize val_loss"]
    with pytest.raises(RequestError, match="write minimize val_gap"):
        read(objectives=["maximize val_gap"]).check_directions({"gap": "minimize"})
