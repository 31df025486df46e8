"""A user-defined package `models` does not clash with assay.models."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.command import assay

BLOCKS = """import keras


def block(units):
    return keras.layers.Dense(units, activation="relu")
"""
NETS = """import keras

import models
from models.blocks import block


def build(input_shape, classes, units):
    assert models.MINE
    layers = [keras.Input(input_shape), keras.layers.Flatten(), block(units)]
    return keras.Sequential([*layers, keras.layers.Dense(classes)])
"""
EXPERIMENT = """
title = "a package of one's own that is called models"
[data]
name = "digits"
[model]
family = "{}"
[train]
epochs = 1
[space]
units = [16, 32]
[search]
trials = 2
"""


@pytest.mark.parametrize("family", ["models.nets:build", "models/nets.py:build", "nets.py:build"])
def test_a_user_defined_models_package_is_imported(family: str, tmp_path: Path) -> None:
    own = tmp_path / "models"
    own.mkdir()
    (own / "__init__.py").write_text("MINE = True\n")
    (own / "blocks.py").write_text(BLOCKS)
    (tmp_path / "nets.py" if family == "nets.py:build" else own / "nets.py").write_text(NETS)
    (tmp_path / "mine.toml").write_text(EXPERIMENT.format(family))
    asked = ("sweep", "mine.toml", "--workers", "1", "--home", "home", "--json")
    # The path of this process contains the repository root, which has a folder models too.
    done = assay(*asked, cwd=tmp_path, PYTHONPATH="")
    assert done.code == 0, done.err
    assert done.answer["trials"]["failed"] == 0
