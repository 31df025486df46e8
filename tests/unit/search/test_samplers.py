"""Options of every sampler."""

from __future__ import annotations

import importlib.util
import inspect
from typing import Any

import optuna
import pytest

from assay.models.errors import RequestError
from assay.models.settings import Settings
from assay.search.samplers import SAMPLERS, get_sampler, make_sampler
from assay.search.space import read_space
from tests.helpers.spaces import WIDE

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


def options(name: str, given: dict[str, Any] | None = None) -> Settings:
    return SAMPLERS[name].settings.read(EARLY.get(name, {}) if given is None else given, "options")


@pytest.mark.parametrize("name", sorted({*SAMPLERS} - {"grid"}))
def test_options_have_the_names_and_defaults_of_optuna(name: str) -> None:
    classes = {
        "tpe": "TPESampler",
        "random": "RandomSampler",
        "qmc": "QMCSampler",
        "cmaes": "CmaEsSampler",
        "gp": "GPSampler",
        "nsga2": "NSGAIISampler",
    }
    known = inspect.signature(getattr(optuna.samplers, classes[name]).__init__).parameters
    defaults = get_sampler(name).settings().model_dump()
    defaults.pop("crossover", None)  # an object of Optuna's; here a name
    if name == "tpe":
        assert defaults.pop("group") is None  # decided by the space
    assert defaults == {option: known[option].default for option in defaults}


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_every_option_is_described(sampler: Any) -> None:
    assert all(option.description for option in sampler.settings.model_fields.values())
    assert len(sampler.summary) < 120


def test_a_missing_package_is_named_with_its_install_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name in ("torch", "cmaes") else found(name),
    )
    for name, package in (("gp", "torch"), ("cmaes", "cmaes")):
        with pytest.raises(
            RequestError, match=rf"pip install {package} in Assay's environment.*'{name}'"
        ) as caught:
            make_sampler(name, 0, 0, read_space(WIDE))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        (
            "tpe",
            {"n_startup_trials": -1},
            "n_startup_trials: input should be greater than or equal to 0; received -1",
        ),
        ("tpe", {"n_startup_trials": 2.0}, "n_startup_trials: .*integer; received 2.0"),
        ("tpe", {"n_ei_candidates": 0}, "n_ei_candidates: .*received 0"),
        ("tpe", {"multivariate": 1}, "multivariate: .*boolean; received 1"),
        ("tpe", {"group": "yes"}, "group: .*received 'yes'"),
        ("tpe", {"constant_liar": 0}, "constant_liar: .*received 0"),
        ("tpe", {"group": True, "multivariate": False}, "group = true needs multivariate"),
        ("random", {"seed": 1}, "does not know 'seed': it knows nothing"),
        ("qmc", {"qmc_type": "latin"}, "qmc_type: .*'sobol' or 'halton'; received 'latin'"),
        ("qmc", {"scramble": "no"}, "scramble: .*received 'no'"),
        ("cmaes", {"n_startup_trials": -1}, "n_startup_trials: .*received -1"),
        ("cmaes", {"popsize": 3}, "popsize: .*equal to 4; received 3"),
        ("cmaes", {"consider_pruned_trials": 1}, "consider_pruned_trials: .*received 1"),
        ("cmaes", {"use_separable_cma": 1}, "use_separable_cma: .*received 1"),
        ("cmaes", {"with_margin": 1}, "with_margin: .*received 1"),
        ("cmaes", {"lr_adapt": 1}, "lr_adapt: .*received 1"),
        (
            "cmaes",
            {"lr_adapt": True, "with_margin": True},
            "with_margin and lr_adapt exclude each other",
        ),
        ("gp", {"n_startup_trials": "few"}, "n_startup_trials: .*received 'few'"),
        ("gp", {"deterministic_objective": 1}, "deterministic_objective: .*received 1"),
        ("nsga2", {"population_size": 1}, "population_size: .*received 1"),
        ("nsga2", {"mutation": "gaussian"}, "mutation: .*'polynomial'; received 'gaussian'"),
        ("nsga2", {"mutation_prob": 1.5}, "mutation_prob: .*received 1.5"),
        ("nsga2", {"crossover": "single"}, "crossover: .*received 'single'"),
        ("nsga2", {"crossover_prob": -0.1}, "crossover_prob: .*received -0.1"),
        ("nsga2", {"swapping_prob": 2}, "swapping_prob: .*received 2"),
        ("nsga2", {"crossover": "spx", "population_size": 2}, "'spx' takes three parents"),
    ],
)
def test_an_invalid_option_is_refused_in_one_line(
    name: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        options(name, given)
    assert "\n" not in str(caught.value)
