"""The data contract for digits, user-defined and generated data sets."""

from __future__ import annotations

import numpy as np
import pytest

from assay.experiments.data import GENERATED_SETS
from tests.helpers.data_contract import Case, DataContract, Prepared, prepare_case


def generated(name: str) -> Case:
    """A generated data set with a non-default number of points."""
    task = GENERATED_SETS[name].task
    classes = 2 if task == "classification" else 0
    shape = (2,) if task == "classification" else (1,)
    keys = {"samples": 301, "seed": 5}
    return Case(
        name, (241, 60, 10_000), shape, False, classes, task, classes or 1, np.float32, keys
    )


CASES = [
    pytest.param(Case("digits", (1237, 200, 360), (8, 8, 1), verified=True), id="digits"),
    pytest.param(
        Case("npz:own.npz", (200, 100, 30), (4, 4, 1), verified=False, classes=3, outputs=3),
        id="npz",
    ),
    pytest.param(
        Case("npz:numbers.npz", (200, 100, 30), (16,), False, 0, "regression", 2, np.float32),
        id="npz-regression",
    ),
    pytest.param(
        Case("folder:pets", (200, 100, 30), (4, 4, 1), verified=False, classes=3, outputs=3),
        id="folder",
    ),
    *(pytest.param(generated(name), id=name) for name in GENERATED_SETS),
]


@pytest.fixture(scope="module", params=CASES)
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare_case(request.param, None, tmp_path_factory)


class TestPreparedData(DataContract):
    pass
