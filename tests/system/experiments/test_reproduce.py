"""Trained again on a real backend, a run has the numbers that were recorded."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from assay import RequestError, reproduce, run
from assay.search.events import EpochEnded
from assay.search.journal import read_events
from tests.reproduction import BACKENDS, deterministic_cases, plain_cases, reproduce_trials


@pytest.mark.parametrize("backend", BACKENDS)
def test_deterministic_runs_are_the_same_to_the_last_bit(backend: str, tmp_path: Path) -> None:
    results = [
        result
        for case in deterministic_cases(backend, runs=2)
        for result in reproduce_trials(case, tmp_path)
    ]
    assert len(results) == 2
    for result in results:
        assert result.largest_difference == 0
        assert {"loss", "val_loss", "accuracy", "val_accuracy", "parameters"} <= set(result.metrics)
        assert result.epochs_now == result.epochs_recorded >= 2
        assert not [one for one in result.differs_now if one.what == "deterministic operations"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_trials_of_two_workers_are_within_the_stated_tolerance(
    backend: str, tmp_path: Path
) -> None:
    for case in plain_cases(backend, trials=1):
        for result in itertools.islice(reproduce_trials(case, tmp_path), 2):
            assert result.within, result.to_record()
            assert result.tolerance == 0.001
            if case.fuse != "auto":
                # Trained alone, the last digits would differ.
                assert result.largest_difference == 0
        if case.fuse != "auto":
            journal = tmp_path / f"home-{case.experiment}" / "journal" / f"{case.experiment}.jsonl"
            lanes = {e.lanes for e, _ in read_events(journal) if isinstance(e, EpochEnded)}
            assert max(lanes) > 1, "no trials trained together"


def test_another_seed_gives_other_numbers(tmp_path: Path) -> None:
    here = {"home": tmp_path / "home", "progress": False}
    options = {"epochs": 2, "deterministic": True, **here}
    first = run("digits-mlp", **options)
    like = run(like=first.run_id, seed=1, **here)
    assert like.params == first.params
    assert like.metrics["val_loss"] != first.metrics["val_loss"]
    same = run(like=first.run_id, **here)
    assert same.metrics["val_loss"] == first.metrics["val_loss"]
    assert first.run_id is not None
    again = reproduce(first.run_id, tolerance=0, **here)
    assert (again.within, again.largest_difference) == (True, 0.0)
    with pytest.raises(RequestError, match="tolerance takes a number, 0 or more"):
        reproduce(first.run_id, tolerance=-1, **here)
