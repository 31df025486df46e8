"""Bad input that only a worker with a backend detects: one line, and nothing written."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from tests.helpers.experiment_files import OWN
from tests.helpers.gpus import pretend_cuda_libraries
from tests.helpers.refusals import Fails

NETS = """import keras


def build(input_shape, classes, width):
    layers = [keras.layers.Flatten(), keras.layers.Dense(classes)]
    return keras.Sequential([keras.Input(input_shape), *layers])
"""

RAISES = """def build(input_shape, classes, width):
    raise ValueError("no such width")
"""

MINE = ["sweep", "mine.toml"]


# (id, words that the message must contain, files)
BAD: list[tuple[str, str, dict[str, str]]] = [
    (
        "a factory that is not in its file",
        "there is no function 'build' in it",
        {"mine.toml": OWN, "nets.py": "def builds(input_shape, classes):\n    pass\n"},
    ),
    (
        "a factory that raises, with the line of its file",
        "nets.py, line 2: ValueError: no such width",
        {"mine.toml": OWN, "nets.py": RAISES},
    ),
    (
        "a hyperparameter that the factory does not take",
        "width",
        {"mine.toml": OWN, "nets.py": "def build(input_shape, classes, widths=3):\n    pass\n"},
    ),
    (
        "an objective that the factory's model does not measure",
        "the model of nets.py:build measures accuracy",
        {
            "mine.toml": OWN.replace("[search]", '[search]\nobjectives = ["maximize val_auc"]'),
            "nets.py": NETS,
        },
    ),
]


@pytest.mark.parametrize(("words", "files"), [pytest.param(*case[1:], id=case[0]) for case in BAD])
def test_bad_networks_get_one_clear_line(
    words: str, files: dict[str, str], fails: Fails, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert words in fails("sweep", "mine.toml")


@pytest.mark.parametrize(
    ("options", "backend"),
    [
        ((), "tensorflow"),
        (("--device", "gpu:0", "--dry-run"), "tensorflow"),
        pytest.param(
            ("--device", "gpu", "--backend", "jax"),
            "jax",
            marks=pytest.mark.skipif(
                importlib.util.find_spec("jax") is None, reason="JAX is not installed"
            ),
        ),
    ],
)
def test_a_gpu_that_the_backend_cannot_use_is_refused_before_anything_is_written(
    options: tuple[str, ...],
    backend: str,
    fails: Fails,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The worker is real, and finds no GPU behind the libraries."""
    libraries = pretend_cuda_libraries(tmp_path / "libraries")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("PYTHONPATH", str(libraries), prepend=os.pathsep)
    monkeypatch.syspath_prepend(libraries)
    line = fails("sweep", "digits-mlp", *options)
    assert f"needs one that {backend} can use: it finds none" in line
    assert "--device cpu" in line
