"""Checks of a request before the sweep starts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from assay.experiments.config.catalog import resolve_experiment
from assay.experiments.config.experiment import Experiment, read_experiment
from assay.experiments.run.execution import Execution
from assay.experiments.run.session import is_surely_valid
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError

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
