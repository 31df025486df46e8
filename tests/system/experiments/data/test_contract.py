"""The data contract for the real data sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.data_contract import Case, DataContract, Prepared, prepare_case

pytestmark = pytest.mark.real_data

CASES = [
    Case("mnist", (50_000, 10_000, 10_000), (28, 28, 1), verified=True),
    Case("cifar10", (40_000, 10_000, 10_000), (32, 32, 3), verified=False),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def prepared(
    request: pytest.FixtureRequest, real_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Prepared:
    case: Case = request.param
    if not (real_data / f"{case.name}.npz").exists():
        pytest.skip(f"ASSAY_DATA_DIR holds no {case.name}.npz")
    return prepare_case(case, real_data, tmp_path_factory)


class TestPublishedData(DataContract):
    pass
