"""Detection of real out-of-memory errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

from assay.models.backends.keras_fit import FallbackDataset
from assay.models.data import DataShape, TrainingData
from assay.models.errors import is_out_of_memory
from assay.models.training.epoch import InputConfig, TrainEpoch
from assay.models.worker.trainer import Trainer
from tests.helpers.paths import ROOT
from tests.helpers.prepared_data import assign

ENDLESS = 1 << 50


def raised(act: Callable[[], Any]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the backend chooses the class
        act()
    return caught.value


class Full:
    """Data whose epochs never fit into memory."""

    shape, takes_any_batch_size = DataShape((8, 8, 1), 3, 150), True

    def compile_epoch(self, model: keras.Model, config: InputConfig) -> TrainEpoch:
        raise MemoryError


def test_plain_fit_is_not_tried_with_a_custom_model_that_does_not_fit(
    data: TrainingData,
) -> None:
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    model.compile(loss="mse")
    with pytest.raises(MemoryError):
        FallbackDataset(Full(), data).compile_epoch(model, InputConfig(32))


# This takes ten seconds: TensorFlow waits that long for other code to free memory.
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="each backend fails of it in its own way"
)
def test_a_network_that_does_not_fit_fails_and_the_next_one_trains(
    trainer: Trainer, folder: Path
) -> None:
    assert is_out_of_memory(
        raised(
            lambda: trainer.begin(assign(folder, model={"hidden_units": [1_000_000, 1_000_000]}))
        )
    )
    trainer.begin(assign(folder))
    assert trainer.epoch()["metrics"]["loss"] > 0


LIMITED = """
import resource, sys
from pathlib import Path
from assay.models.errors import is_out_of_memory
from assay.models.worker.preload import preload
from assay.models.worker.trainer import Trainer
from tests.helpers.prepared_data import assign

preload()
trainer = Trainer(1)
trainer.begin(assign(Path(sys.argv[1])))
trainer.epoch()
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), resource.RLIM_INFINITY))
try:
    trainer.begin(assign(Path(sys.argv[1]), model={"hidden_units": [20_000, 20_000]}))
    trainer.epoch()
except Exception as error:
    assert is_out_of_memory(error), repr(error)
else:
    raise AssertionError("a network of several GB went into one")
trainer.drop()
trainer.begin(assign(Path(sys.argv[1])))
trainer.epoch()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs the limits and the counters of Linux")
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="each backend fails of it in its own way"
)
def test_a_process_at_its_memory_limit_reports_it_and_continues(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-2000:]
