"""Detection of GPUs and threads."""

from __future__ import annotations

import resource
from pathlib import Path
from types import SimpleNamespace

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


def control_group(folder: Path, limit: str, usage: int = 0, cached: int = 0) -> None:
    """Write the files of a control group of version 2."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(f"anon 3\ninactive_file {cached}\nactive_file 7\n")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the machine 8,000 bytes of memory that are available, and 500 bytes of swap."""
    psutil = pytest.importorskip("psutil")
    found = SimpleNamespace(available=8_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: found)
    monkeypatch.setattr(psutil, "swap_memory", lambda: SimpleNamespace(free=500))
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: unlimited)


@pytest.mark.usefixtures("machine")
class TestAvailableMemory:
    @pytest.mark.parametrize(
        ("limits", "available"),
        [
            ({}, 8_500),
            ({"a/b": ("max", 0, 0)}, 8_500),
            ({"a/b": ("9000", 0, 0)}, 8_500),
            ({"a/b": ("3000", 1_000, 0)}, 2_500),
            ({"a/b": ("3000", 1_000, 400)}, 2_900),
            ({"a/b": ("3000", 0, 0), "a": ("2000", 500, 0)}, 2_000),
            ({"a/b": ("3000", 3_600, 0)}, 0),
            ({"": ("4000", 0, 0)}, 4_500),  # in a container, whose own group is the root
        ],
    )
    def test_limits_of_control_groups_count(
        self, limits: dict[str, tuple[str, int, int]], available: int, tmp_path: Path
    ) -> None:
        for name, (limit, usage, cached) in limits.items():
            control_group(tmp_path / "cgroup" / name, limit, usage, cached)
        (tmp_path / "own").write_text("0::/a/b\n")
        assert hardware.available_memory_bytes(tmp_path / "cgroup", tmp_path / "own") == available

    def test_limits_of_version_1_count(self, tmp_path: Path) -> None:
        (group := tmp_path / "cgroup" / "memory" / "slurm").mkdir(parents=True)
        (group / "memory.limit_in_bytes").write_text("3000\n")
        (group / "memory.usage_in_bytes").write_text("1000\n")
        (group / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 200\n")
        (tmp_path / "own").write_text("7:cpu,cpuacct:/other\n4:memory:/slurm\n0::/\n")
        found = hardware.available_memory_bytes(tmp_path / "cgroup", tmp_path / "own")
        assert found == 3_000 - 1_000 + 200 + 500

    @pytest.mark.parametrize(("limit", "room"), [("0", 0), ("300", 200), ("max", 500)])
    def test_a_group_may_use_less_swap_than_is_free(
        self, limit: str, room: int, tmp_path: Path
    ) -> None:
        (group := tmp_path / "cgroup" / "job").mkdir(parents=True)
        (group / "memory.max").write_text("3000\n")
        (group / "memory.current").write_text("1000\n")
        (group / "memory.stat").write_text("inactive_file 0\n")
        (group / "memory.swap.max").write_text(f"{limit}\n")
        (group / "memory.swap.current").write_text("100\n")
        (tmp_path / "own").write_text("0::/job\n")
        found = hardware.available_memory_bytes(tmp_path / "cgroup", tmp_path / "own")
        assert found == 2_000 + room

    def test_a_limit_of_the_address_space_counts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import psutil

        memory = psutil.Process().memory_info().vms
        monkeypatch.setattr(resource, "getrlimit", lambda kind: (memory + 10**6, memory + 10**6))
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=10**12))
        assert hardware.available_memory_bytes(tmp_path, tmp_path / "none") <= 10**6


def test_this_machine_has_memory() -> None:
    assert hardware.available_memory_bytes() > 10**6
