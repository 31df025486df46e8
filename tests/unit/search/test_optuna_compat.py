"""The version guard for private parts of Optuna."""

from __future__ import annotations

import pytest
from optuna.pruners import HyperbandPruner, SuccessiveHalvingPruner
from optuna.samplers import TPESampler

from assay.models.errors import RequestError
from assay.search import optuna_compat
from assay.search.pruners import make_pruner
from assay.search.pruners.cached_halving import CachedHyperbandPruner, CachedSuccessiveHalvingPruner
from assay.search.samplers import make_sampler
from assay.search.samplers.fast_tpe import FastTPESampler
from assay.search.space import read_space


@pytest.mark.parametrize(
    ("release", "known"), [("5.0.0", True), ("5.0.3", True), ("5.1.0", False), ("6.0.0", False)]
)
def test_an_unknown_release_is_used_without_patches(
    release: str, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optuna_compat, "version", lambda package: release)
    made = [
        make_sampler("tpe", 0, 0, read_space({"x": [1, 2]}), None),
        make_pruner("hyperband", 9, None),
        make_pruner("asha", 9, None),
    ]
    quick, own = (
        (FastTPESampler, CachedHyperbandPruner, CachedSuccessiveHalvingPruner),
        (TPESampler, HyperbandPruner, SuccessiveHalvingPruner),
    )
    assert [type(one) for one in made] == list(quick if known else own)


def test_a_sampler_that_reads_a_pickle_is_refused_with_an_unknown_release(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without our reader, Optuna would unpickle data from the storage."""
    space = read_space({"x": {"low": 0.0, "high": 1.0}})
    make_sampler("cmaes", 0, 0, space)
    monkeypatch.setattr(optuna_compat, "version", lambda package: "5.1.0")
    with pytest.raises(RequestError, match=r"'cmaes' works with Optuna 5\.0\.\*: received 5\.1\.0"):
        make_sampler("cmaes", 0, 0, space)


def test_the_installed_release_is_supported() -> None:
    assert optuna_compat.is_supported()
