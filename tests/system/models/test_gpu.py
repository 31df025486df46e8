"""Configuration of TensorFlow with a simulated GPU."""

from __future__ import annotations

from typing import Any

import keras
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("TensorFlow's own way", allow_module_level=True)

import tensorflow as tf

from assay.models.backends import current_backend
from assay.models.errors import RequestError
from assay.models.worker.trainer import Trainer


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Return the list of settings that TensorFlow receives for its only GPU."""
    said: list[tuple[str, Any]] = []
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind: ["the GPU"] if kind == "GPU" else []
    )
    monkeypatch.setattr(
        tf.config.experimental,
        "set_memory_growth",
        lambda device, grow: said.append((device, {"grow": grow})),
    )
    monkeypatch.setattr(
        tf.config,
        "set_logical_device_configuration",
        lambda device, parts: said.append((device, parts)),
    )
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda device: {"device_name": "NVIDIA X"}
    )
    return said


def test_memory_of_an_unshared_gpu_grows_on_demand(told: list[tuple[str, Any]]) -> None:
    current_backend().limit_gpu_memory(None)
    assert told == [("the GPU", {"grow": True})]


def test_memory_of_a_shared_gpu_is_limited(told: list[tuple[str, Any]]) -> None:
    current_backend().limit_gpu_memory(4096)
    assert told == [("the GPU", [tf.config.LogicalDeviceConfiguration(memory_limit=4096)])]


def test_a_worker_reports_its_device(threads: int, told: list[tuple[str, Any]]) -> None:
    assert Trainer(threads, on_gpu=True).device() == {"device": "gpu: NVIDIA X"}


def test_a_worker_that_needs_a_gpu_refuses_the_cpu(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert Trainer(threads).device() == {"device": "cpu"}
    for ask in (
        Trainer.device,
        lambda trainer: trainer.begin({}),
        lambda trainer: trainer.check({}),
    ):
        with pytest.raises(RequestError, match="needs one that tensorflow can use: it finds none"):
            ask(Trainer(threads, on_gpu=True))
