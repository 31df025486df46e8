"""Detection of GPUs and threads."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.search.system import hardware


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    """Return a folder like /dev of a machine that exposes its fourth and eleventh GPU."""
    for name in ("nvidia3", "nvidia10", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    return tmp_path


def test_gpus_are_numbered_from_0(devices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert hardware.list_gpus(devices) == ["0", "1"]
    assert hardware.list_gpus(devices / "none") == []


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        ("0,1", ["0", "1"]),
        ("GPU-7f", ["GPU-7f"]),
        ("2, 0", ["2", "0"]),
        ("1,-1,0", ["1"]),
        ("", []),
        ("-1", []),
    ],
)
def test_cuda_visible_devices_is_parsed_as_by_cuda(
    visible: str, names: list[str], devices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert hardware.list_gpus(devices) == names


@pytest.mark.parametrize(
    ("backend", "package", "words"),
    [
        ("tensorflow", "nvidia/cudnn", "make sweep EXTRAS=gpu"),
        ("jax", "jax_cuda12_plugin", "pip install 'jax[cuda12]'"),
        ("jax", "jax_cuda13_plugin", "JAX's CUDA plugin is not installed"),
    ],
)
def test_a_backend_lacks_libraries_until_they_are_installed(
    backend: str, package: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware.ctypes.util, "find_library", lambda name: None)
    assert words in str(hardware.missing_gpu_libraries(backend))
    (tmp_path / package).mkdir(parents=True)
    (tmp_path / package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert hardware.missing_gpu_libraries(backend) is None


@pytest.mark.parametrize(("cuda", "lacks"), [("None", True), ("'12.8'", False)])
def test_a_torch_build_reports_whether_it_has_cuda(
    cuda: str, lacks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "torch" / "version.py").write_text(
        f"__version__ = '2.9.0'\ncuda: Optional[str] = {cuda}\nhip = None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert (hardware.missing_gpu_libraries("torch") is not None) == lacks


@pytest.mark.parametrize(("workers", "threads"), [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1)])
def test_threads_are_divided_among_workers_with_a_minimum_of_one(
    workers: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "count_cores", lambda: 8)
    assert hardware.threads_per_worker(workers) == threads
