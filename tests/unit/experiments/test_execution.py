"""Choice of backend, device, workers and their environment.

CUDA_VISIBLE_DEVICES simulates GPUs, and empty packages simulate their libraries. No GPU is needed.
"""

from __future__ import annotations

from typing import Any

import pytest

from assay.experiments.config.request import ExecutionRequest
from assay.experiments.run.execution import Execution, GpuMemory, choose_device, share_memory
from assay.models.errors import RequestError
from assay.search.system import hardware

pytestmark = pytest.mark.usefixtures("two_gpus")


def choose(workers: int | None = None, **asked: Any) -> Execution:
    return Execution.choose(ExecutionRequest(**asked), workers)


def visible(execution: Execution) -> list[str]:
    """Return the CUDA_VISIBLE_DEVICES of each worker."""
    shared = execution.shared_environment()
    return [{**shared, **own}["CUDA_VISIBLE_DEVICES"] for own in execution.worker_environments()]


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize(
    ("device", "workers", "seen"),
    [
        (None, None, ["4", "5"]),
        ("gpu", None, ["4", "5"]),
        ("gpu", 3, ["4", "5", "4"]),
        ("gpu:0", None, ["4"]),
        ("gpu:1", 2, ["5", "5"]),
        ("cpu", 2, ["-1", "-1"]),
    ],
)
def test_workers_see_only_their_gpus(
    backend: str, device: str | None, workers: int | None, seen: list[str]
) -> None:
    execution = choose(workers, backend=backend, device=device)
    assert visible(execution) == seen
    assert execution.device == (device or "gpu")
    assert execution.trainer_arguments()["on_gpu"] == (device != "cpu")


def test_jax_on_the_cpu_ignores_gpus_and_has_one_worker_per_core() -> None:
    execution = choose(backend="jax", device="cpu")
    assert execution.shared_environment()["JAX_PLATFORMS"] == "cpu"
    assert execution.workers == hardware.count_cores()


def test_the_cpu_is_the_default_without_libraries_or_gpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert choose_device(None, "tensorflow") == ("cpu", ())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert choose_device(None, "torch") == ("cpu", ())


def test_gpus_have_the_order_of_the_driver_unless_the_user_numbers_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    execution = choose()
    assert "CUDA_DEVICE_ORDER" not in execution.shared_environment()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert execution.shared_environment()["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"device": "gpu:2"}, "this machine has gpu:0, gpu:1; received 'gpu:2'"),
        ({"device": "gpu:"}, "--device takes cpu, gpu or gpu:N"),
        ({"device": "gpu:-1"}, "--device takes cpu, gpu or gpu:N"),
        ({"backend": "jax", "xla": "off"}, "JAX always compiles with XLA"),
        ({"gpu_memory": 0.6}, "received 0.6 for each of 2; take 0.5 or less"),
        (
            {"gpu_memory": 0.4},
            "nvidia-smi does not report the size of the GPU: received 0.4; give MB",
        ),
        ({"gpu_memory": 4096, "backend": "jax"}, "received 4096; give a fraction, such as 0.4"),
        ({"gpu_memory": 0.4, "device": "cpu"}, "--gpu-memory is for GPUs"),
    ],
)
def test_unavailable_devices_are_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError) as caught:
        choose(workers=4, **asked)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("backend", "workers", "asked", "total", "expected"),
    [
        ("tensorflow", 2, None, 80000, GpuMemory()),
        ("tensorflow", 3, None, 80000, GpuMemory(0.45, 36000)),
        ("tensorflow", 4, None, None, GpuMemory()),
        ("tensorflow", 2, 0.5, 80000, GpuMemory(0.5, 40000)),
        ("tensorflow", 2, 4096, None, GpuMemory(None, 4096)),
        ("jax", 2, None, None, GpuMemory(0.9)),
        ("jax", 6, None, None, GpuMemory(0.3)),
        ("jax", 4, 0.25, None, GpuMemory(0.25)),
        ("jax", 4, 20000, 80000, GpuMemory(0.25, 20000)),
        ("torch", 4, None, 80000, GpuMemory()),
    ],
)
def test_workers_of_a_gpu_share_its_memory(
    backend: str, workers: int, asked: float | None, total: int | None, expected: GpuMemory
) -> None:
    found = share_memory(asked, backend, ["4", "5"], workers, lambda gpus: total)
    assert found.fraction == pytest.approx(expected.fraction)
    assert found.megabytes == expected.megabytes


@pytest.mark.parametrize(
    ("backend", "asked", "words"),
    [
        ("tensorflow", 50000, "of 80000 MB .* received 50000 for each of 2"),
        ("torch", 0.4, "is for tensorflow and jax"),
    ],
)
def test_unavailable_memory_is_refused(backend: str, asked: float, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        share_memory(asked, backend, ["0"], 2, lambda gpus: 80000)


def test_jax_gets_its_memory_share_by_environment_and_tensorflow_by_argument() -> None:
    environment = choose(4, backend="jax").shared_environment()
    assert environment["XLA_CLIENT_MEM_FRACTION"] == "0.45"
    assert environment["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    execution = choose(4, gpu_memory=1000)
    assert execution.trainer_arguments()["gpu_megabytes"] == 1000
    assert "XLA_CLIENT_MEM_FRACTION" not in execution.shared_environment()
    assert (str(execution.memory), str(choose().memory)) == ("1000 MB", "as needed")
