"""Checks of a request before the sweep starts, and what is recorded of the data."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.experiments.config.catalog import resolve_experiment
from assay.experiments.config.experiment import Experiment, read_experiment
from assay.experiments.run import provenance
from assay.experiments.run.checkout import Checkout
from assay.experiments.run.execution import Execution
from assay.experiments.run.preflight import Preflight
from assay.experiments.run.provenance import study_fingerprint
from assay.experiments.run.session import Session, is_surely_valid
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError
from assay.models.tasks import Task
from assay.search.study_record import compare_fingerprints
from tests.helpers.own_data import Array, prepare_arrays, with_test

EXECUTION = Execution(backend="tensorflow", device="cpu", workers=1, threads=1)

OF_POINTS = 'title = "x"\n[data]\nname = "moons"\n[model]\nfamily = "mlp"\n'

OWN = 'title = "x"\n[data]\nname = "moons"\n[model]\nfamily = "nets.py:build"\n'


def store_paths(folder: Path, home: str = "home") -> StorePaths:
    return StorePaths.choose(home=folder / home, data_dir=folder / "data")


def written(folder: Path, text: str) -> Experiment:
    (folder / "nets.py").write_text("def build(input_shape, classes): ...\n")
    (folder / "own.toml").write_text(text)
    return read_experiment(folder / "own.toml")


def test_available_data_with_a_built_in_network_are_surely_valid(
    tmp_path: Path,
) -> None:
    assert is_surely_valid(resolve_experiment("digits-mlp"), EXECUTION, store_paths(tmp_path))
    assert is_surely_valid(written(tmp_path, OF_POINTS), EXECUTION, store_paths(tmp_path))
    assert not (tmp_path / "home").exists()


def test_downloads_custom_networks_and_gpus_are_not_surely_valid(tmp_path: Path) -> None:
    assert not is_surely_valid(resolve_experiment("mnist-mlp"), EXECUTION, store_paths(tmp_path))
    assert not is_surely_valid(written(tmp_path, OWN), EXECUTION, store_paths(tmp_path))
    on_card = dataclasses.replace(EXECUTION, device="gpu", gpus=["0"])
    assert not is_surely_valid(resolve_experiment("digits-mlp"), on_card, store_paths(tmp_path))


def test_an_obvious_mistake_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="needs images"):
        is_surely_valid(
            written(tmp_path, OF_POINTS.replace("mlp", "cnn")), EXECUTION, store_paths(tmp_path)
        )
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="--home"):
        is_surely_valid(
            resolve_experiment("digits-mlp"), EXECUTION, store_paths(tmp_path, "file/home")
        )


SECONDS = np.random.default_rng(0).uniform(0, 50, 240)


def session(
    folder: Path, x: Array, y: Array | None = None, scale: str = "unit", **more: Array
) -> Session:
    """Return a session on rows of one feature; it is regression if y is given."""
    task: Task = "classification" if y is None else "regression"
    targets = np.arange(240) % 2 if y is None else y
    data = prepare_arrays(with_test(x, targets) | more, folder, task)
    text = (
        f'title = "x"\ntask = "{task}"\n[data]\nname = "npz:own.npz"\nscale = "{scale}"\n'
        f'[model]\nfamily = "linear"\n'
    )
    return Session(Preflight(written(folder, text), data), EXECUTION, seed=0)


@pytest.fixture
def without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "read_checkout", lambda folder: Checkout())


def recorded_data(of: Session) -> dict[str, Any]:
    return dict(of.study_opened("x", "id", of.data.folder).data)


@pytest.mark.usefixtures("without_git")
@pytest.mark.parametrize("scale", ["unit", "standard", "none"])
def test_the_recorded_scale_takes_the_numbers_of_the_user(scale: str, tmp_path: Path) -> None:
    recorded = recorded_data(session(tmp_path, 1.7e9 + SECONDS[:, None], scale=scale))
    lowest, highest = 1.7e9 + SECONDS[:200].min(), 1.7e9 + SECONDS[:200].max()
    ends = [
        end * np.array(recorded["factor"]) + np.array(recorded["offset"])
        for end in (lowest, highest)
    ]
    expected = {"unit": (0, 1), "none": (lowest, highest)}.get(scale)
    if expected is not None:
        # Not all of them train, and a sixth of them validates.
        np.testing.assert_allclose(np.ravel(ends), expected, atol=0.1)
    else:
        assert np.ravel(ends) == pytest.approx((-1.7, 1.7), abs=0.2)
    assert recorded["target_offset"] is None


@pytest.mark.usefixtures("without_git")
def test_the_offset_of_the_targets_is_recorded(tmp_path: Path) -> None:
    y = np.stack([1e6 + SECONDS, SECONDS], axis=1)
    [large, small] = recorded_data(session(tmp_path, SECONDS[:, None], y))["target_offset"]
    assert (large == pytest.approx(1e6, abs=50), small) == (True, 0)


def fingerprint_of(of: Session) -> dict[str, object]:
    return study_fingerprint(of.preflight, EXECUTION)


def as_before(fingerprint: dict[str, object]) -> dict[str, object]:
    """Return the fingerprint as release 0.1.0 wrote it: name, digest and scale of the data."""
    data = fingerprint["data"]
    assert isinstance(data, dict)
    return fingerprint | {"data": {key: data[key] for key in ("name", "digest", "scale")}}


BITS = np.random.default_rng(0).integers(0, 2, (240, 8, 8)).astype(np.uint8)
CHANGED: dict[str, tuple[dict[str, Array], str, str]] = {
    "centred inputs": (
        {"x": 1.7e9 + SECONDS[:, None]},
        "unit",
        "data inputs = nothing, this asks for centred before the cast to float32",
    ),
    "centred targets": (
        {"x": SECONDS[:, None], "y": 1e6 + SECONDS},
        "standard",
        "data targets = nothing, this asks for centred before the cast to float32",
    ),
    "bytes of 0 and 1": (
        {"x": BITS},
        "unit",
        "data unit scale = nothing, this asks for uint8 images divided by 1 in place of 255",
    ),
    "a validation set": (
        {"x": SECONDS[:, None], "x_val": SECONDS[:9, None], "y_val": np.arange(9) % 2},
        "unit",
        "data validation = nothing, this asks for x_val and y_val",
    ),
}
UNCHANGED: dict[str, tuple[dict[str, Array], str]] = {
    "rows": ({"x": SECONDS[:, None]}, "unit"),
    "numbers to predict": ({"x": SECONDS[:, None], "y": SECONDS}, "unit"),
    "bytes": ({"x": BITS * np.uint8(255)}, "unit"),
    "bytes of 0 and 1 with another scale": ({"x": BITS}, "standard"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_study_of_other_numbers_is_not_continued(name: str, tmp_path: Path) -> None:
    arrays, scale, reason = CHANGED[name]
    now = fingerprint_of(session(tmp_path, scale=scale, **arrays))
    with pytest.raises(RequestError, match=reason) as caught:
        compare_fingerprints("old", as_before(now), now)
    assert "\n" not in str(caught.value)
    compare_fingerprints("new", now, now)


@pytest.mark.parametrize("name", UNCHANGED)
def test_a_study_of_the_same_numbers_is_continued(name: str, tmp_path: Path) -> None:
    arrays, scale = UNCHANGED[name]
    now = fingerprint_of(session(tmp_path, scale=scale, **arrays))
    compare_fingerprints("old", as_before(now), now)
