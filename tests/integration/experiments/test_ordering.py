"""Order of the first trials of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assay.experiments.config.catalog import resolve_experiment
from assay.experiments.config.request import SweepRequest
from assay.experiments.run.ordering import Inputs
from assay.experiments.run.sweep import enqueue_known, make_study_request
from assay.search.storage.opening import open_storage
from assay.search.study import StudyTrials

MNIST = Inputs((28, 28, 1), 10)


def configuration(units: int, batch: int = 128, **more: Any) -> dict[str, Any]:
    return {
        "hidden_units": units,
        "activation": "relu",
        "batch_size": batch,
        "learning_rate": 1e-3,
        **more,
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_enqueued_configurations_and_baselines_start_longest_first(
    tmp_path: Path, workers: int
) -> None:
    experiment = resolve_experiment("mnist-mlp").with_search(sampler="random")
    listed = [configuration(16), configuration(512), configuration(64)]
    request = SweepRequest(enqueued=listed)
    storage = open_storage(f"sqlite:///{tmp_path / 'optuna.db'}")
    trials = StudyTrials(storage, make_study_request("study", experiment, request, {}))
    for _ in range(2):  # a second call enqueues nothing twice
        enqueue_known(trials, experiment, request, MNIST, workers)
    asked = [trials.ask() for _ in range(5)]
    assert [trial.origin for trial in asked] == [*3 * ["enqueued"], "baseline", "random"]
    longest = [listed[1], listed[2], listed[0]]
    assert [trial.searched for trial in asked[:3]] == (listed if workers == 1 else longest)
    assert asked[3].searched == experiment.baseline_configurations()[0]
