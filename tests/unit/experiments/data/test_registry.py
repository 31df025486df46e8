"""The registry of data sources: one entry defines a source for [data]."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from assay.experiments.data import (
    SOURCES,
    DataSettings,
    Source,
    check_task,
    count_training_images,
    locate_source,
    read_input_shape,
    registry,
    summarize_data_sets,
)
from assay.experiments.data.arrays import SourceArrays
from assay.experiments.data.build import ensure_prepared
from assay.experiments.data.capacity import CapacityCheck, accept_any_size
from assay.experiments.data.prepared_folder import read_prepared_meta
from assay.models.errors import RequestError


@dataclass(frozen=True)
class RampSource(Source):
    """Rows of one number; the class is its sign."""

    samples: int | None = None

    def cache_key(self) -> str:
        return f"ramp {self.samples}"

    def count_training_examples(self) -> int:
        return self.samples or 40

    def input_shape(self) -> tuple[int, ...]:
        return (1,)

    def load(self, check_capacity: CapacityCheck = accept_any_size) -> SourceArrays:
        x = np.linspace(-1, 1, self.count_training_examples())[:, np.newaxis]
        y = (x[:, 0] > 0).astype(int)
        return SourceArrays(x_train=x, y_train=y, x_test=x, y_test=y)


def locate_ramp(name: str, data_dir: Path, base: Path, samples: int | None) -> RampSource:
    return RampSource(name, samples)


@pytest.fixture
def ramp(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = registry.SourceEntry(
        summaries={"ramp": "a line of numbers"},
        task="classification",
        locate=locate_ramp,
        keys=("samples",),
    )
    monkeypatch.setattr(registry, "SOURCES", (*SOURCES, entry))


@pytest.mark.usefixtures("ramp")
class TestOneMoreEntry:
    def test_the_data_set_is_listed_and_located(self) -> None:
        assert list(summarize_data_sets())[-1] == "ramp"
        settings = DataSettings(name="ramp", samples=30)
        assert locate_source(settings, Path(), Path()) == RampSource("ramp", 30)
        assert read_input_shape(settings, Path(), Path()) == (1,)
        assert count_training_images(settings, Path(), Path()) == 25

    def test_task_and_keys_are_checked(self) -> None:
        with pytest.raises(RequestError, match="ramp has classes: task must be 'classification'"):
            check_task(DataSettings(name="ramp"), "regression")
        with pytest.raises(RequestError, match=r"noise is only for xor, .*: remove noise"):
            DataSettings.read({"name": "ramp", "noise": 0.1}, "[data]")
        assert "samples" in DataSettings(name="ramp").applicable_keys()
        with pytest.raises(RequestError, match="Did you mean 'ramp'"):
            DataSettings.read({"name": "rmap"}, "[data]")

    def test_the_data_set_is_prepared(self, tmp_path: Path) -> None:
        settings = DataSettings(name="ramp", samples=30)
        meta = read_prepared_meta(ensure_prepared(settings, tmp_path, tmp_path, tmp_path))
        assert meta is not None
        assert (meta.name, meta.train_images, meta.validation_images) == ("ramp", 25, 5)
        assert meta.unverified_reason == "your own data has no published digest"


def test_every_name_belongs_to_one_entry() -> None:
    for name in summarize_data_sets():
        assert sum(entry.matches(name) for entry in SOURCES) == 1


def test_every_key_of_an_entry_is_a_key_of_data() -> None:
    assert {*registry.SOURCE_KEYS} <= {*DataSettings.model_fields}
