"""The device that a worker reports."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from assay.experiments.config.catalog import resolve_experiment
from assay.experiments.config.request import ExecutionRequest
from assay.experiments.run.execution import Execution
from assay.experiments.run.preflight import confirm_device
from assay.experiments.run.provenance import provenance
from tests.helpers.lab import stub_workers

pytestmark = pytest.mark.usefixtures("two_gpus")


def choose(workers: int | None = None, **asked: Any) -> Execution:
    return Execution.choose(ExecutionRequest(**asked), workers)


def test_the_gpu_name_of_the_worker_is_recorded() -> None:
    asked = choose(3, gpu_memory=1000, precision="mixed_float16", xla="on")
    with stub_workers(1) as executor:
        execution = confirm_device(asked, executor)
        assert len(executor.idle()) == 1, "the worker is free again"
    data: Any = SimpleNamespace(name="digits", digest="0" * 64, classes=("0", "1"), verified=True)
    preflight: Any = SimpleNamespace(
        experiment=resolve_experiment("digits-mlp"), data=data, tags=dict, model=None
    )
    tags = provenance(preflight, execution, seed=0, batching=None, searching=True)
    recorded = {
        name: tags[f"assay.{name}"] for name in ("device", "precision", "xla", "gpu_memory")
    }
    assert recorded == {
        "device": "gpu: a stub", "precision": "mixed_float16", "xla": "on", "gpu_memory": "1000 MB",
    }  # fmt: skip
    on_processor = provenance(
        preflight, choose(device="cpu"), seed=0, batching=None, searching=True
    )
    assert on_processor["assay.device"] == "cpu"
    assert "assay.gpu_memory" not in on_processor


def test_a_sweep_on_the_cpu_waits_for_no_worker() -> None:
    with stub_workers(0) as executor:
        execution = choose(device="cpu")
        assert confirm_device(execution, executor) is execution
