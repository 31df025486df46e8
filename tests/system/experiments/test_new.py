"""The function that `assay new` writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras

from tests.helpers.command import invoke


def test_the_network_of_a_new_function_gives_one_logit_per_class(tmp_path: Path) -> None:
    assert invoke("new", "mine", "--model", "nets.py:wide", cwd=tmp_path).code == 0
    found: dict[str, Callable[..., keras.Model]] = {}
    exec(compile((tmp_path / "nets.py").read_text(), "nets.py", "exec"), found)
    model = found["wide"](input_shape=(8, 8, 1), classes=10, hidden_units=5)
    assert model.count_params() == 64 * 5 + 5 + 5 * 10 + 10
