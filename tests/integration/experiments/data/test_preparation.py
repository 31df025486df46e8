"""The process that prepares data: start, sharing, stop and kill."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from assay.experiments.data import (
    DataSettings,
    Preparation,
    PreparationError,
    prepare,
    start_preparing,
)
from assay.experiments.data.prepared_folder import digest_file
from assay.models.data import load_training_data
from assay.models.errors import RequestError, SearchError, WorkerBug
from tests.helpers.limits import time_limit
from tests.helpers.planted import plant
from tests.helpers.waiting import GUARD_SECONDS, wait_until
from tests.helpers.workers import ENDLESS_SECONDS

OWN = DataSettings(name="npz:own.npz")

Stub = Callable[[str, str], None]


@pytest.fixture
def stuck(stub: Stub, tmp_path: Path) -> Path:
    """Stub children that hang while they write; return the file that they create first."""
    reached = tmp_path / "reached"
    stub(
        "sklearn.model_selection",
        "import pathlib, time\n"
        "def train_test_split(*arrays, **options):\n"
        f"    pathlib.Path({str(reached)!r}).touch()\n"
        f"    time.sleep({ENDLESS_SECONDS})\n",
    )
    return reached


def started(own_set: Path) -> Preparation:
    return start_preparing(OWN, own_set.parent / "home", own_set.parent, own_set.parent)


def prepared_folders(own_set: Path) -> list[Path]:
    """Return the complete and partial folders below home/data; locks are files."""
    return [path for path in (own_set.parent / "home" / "data").iterdir() if path.is_dir()]


def preparing() -> list[psutil.Process]:
    """Return the child processes that prepare data; a shared server is a child too."""

    def prepares(child: psutil.Process) -> bool:
        try:
            return "assay.experiments.data.child" in child.cmdline()
        except psutil.NoSuchProcess:  # it has ended, or is a zombie
            return False

    return [child for child in psutil.Process().children() if prepares(child)]


@contextmanager
def nothing_is_left(own_set: Path, reached: Path) -> Iterator[None]:
    """Check that the child had begun, and left no folder and no process."""
    yield
    assert reached.exists()
    assert prepared_folders(own_set) == []
    assert not preparing()


def test_a_stopped_child_leaves_nothing(own_set: Path, stuck: Path) -> None:
    with nothing_is_left(own_set, stuck), started(own_set):
        wait_until(stuck.exists)
        assert prepared_folders(own_set) != []


def test_ctrl_c_ends_the_child(own_set: Path, stuck: Path) -> None:
    preparation = started(own_set)
    wait_until(stuck.exists)
    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    interrupt = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGUSR1))
    interrupt.start()
    try:
        with nothing_is_left(own_set, stuck), pytest.raises(KeyboardInterrupt):
            preparation.result()
    finally:
        interrupt.join()
        signal.signal(signal.SIGUSR1, before)


def test_a_killed_child_is_reported_and_leaves_nothing(own_set: Path, stuck: Path) -> None:
    preparation = started(own_set)
    wait_until(stuck.exists)
    for child in preparing():
        child.kill()
    with nothing_is_left(own_set, stuck), pytest.raises(PreparationError, match="signal 9") as died:
        preparation.result()
    assert isinstance(died.value, SearchError)  # one line and exit code 1, no traceback
    assert "\n" not in str(died.value)


@pytest.mark.parametrize(("text", "cause"), [("'8 TiB'", " (8 TiB)"), ("", "")])
def test_exhausted_memory_is_one_line(text: str, cause: str, own_set: Path, stub: Stub) -> None:
    stub(
        "sklearn.model_selection",
        f"def train_test_split(*arrays, **options):\n    raise MemoryError({text})\n",
    )
    with pytest.raises(SearchError, match=rf"own.npz must fit .*not{re.escape(cause)}: free some"):
        started(own_set).result()
    assert prepared_folders(own_set) == []


def test_a_child_that_is_gone_before_it_reads_can_be_stopped(own_set: Path, stub: Stub) -> None:
    preparation = started(own_set)
    wait_until(preparing)  # the arguments of a new process are empty for a moment
    [child] = preparing()
    child.kill()
    child.wait(GUARD_SECONDS)
    assert preparation._child is not None
    assert preparation._child._process.stdin is not None
    preparation._child._process.stdin.write("not flushed")  # closing the pipe then fails
    preparation.stop()
    preparation.stop()


def test_a_child_of_a_killed_parent_leaves_nothing(own_set: Path, stuck: Path) -> None:
    code = (
        "from pathlib import Path; from assay.experiments.data import *\n"
        f"folder = Path({str(own_set.parent)!r})\n"
        "settings = DataSettings(name='npz:own.npz')\n"
        "start_preparing(settings, folder / 'home', folder, folder).result()\n"
    )
    paths = os.environ["PYTHONPATH"]
    parent = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths})
    wait_until(stuck.exists)
    children = psutil.Process(parent.pid).children()
    assert children
    parent.kill()
    parent.wait()
    psutil.wait_procs(children, timeout=GUARD_SECONDS)
    with nothing_is_left(own_set, stuck):
        assert not any(child.is_running() for child in children)


def test_a_partial_folder_is_never_used(own_set: Path, quick_split: Path) -> None:
    with started(own_set) as preparation:
        whole = preparation.result().folder
    (whole / "y_train.npy").unlink()
    whole.rename(whole.with_name(f".{whole.name}.partial"))
    data = started(own_set).result()
    assert (data.folder / "y_train.npy").exists()
    assert prepared_folders(own_set) == [whole]


@pytest.mark.parametrize("file", ["x_train.npy", "test/y.npy", "meta.json"])
@pytest.mark.parametrize("damage", ["truncated", "missing", "flipped"])
def test_a_damaged_cache_is_reported_and_repaired(
    file: str, damage: str, own_set: Path, quick_split: Path
) -> None:
    first = started(own_set).result()
    path = first.folder / file
    content = path.read_bytes()
    path.unlink()
    if damage == "truncated":
        path.write_bytes(content[:-1])
    elif damage == "flipped":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    again = started(own_set).result()
    [warning] = again.warnings
    assert file in warning
    assert path.read_bytes() == content
    assert started(own_set).result() == first


@pytest.mark.parametrize("named", [("files",), ("file_digests",), ("files", "file_digests")])
@pytest.mark.parametrize("file", ["x_train.npy", "test/y.npy"])
def test_an_array_that_meta_leaves_out_is_not_opened(
    file: str, named: tuple[str, ...], own_set: Path, quick_split: Path
) -> None:
    first = started(own_set).result()
    path, meta_file = first.folder / file, first.folder / "meta.json"
    content = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    meta = json.loads(meta_file.read_text())
    for key in named:
        del meta[key][file]
    meta_file.write_text(json.dumps(meta))
    with time_limit(60):
        again = started(own_set).result()
    [warning] = again.warnings
    assert file in warning
    assert path.read_bytes() == content


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_linked_folder_is_named(is_whole: bool, own_set: Path, quick_split: Path) -> None:
    folder = started(own_set).result().folder
    folder.rename(theirs := own_set.parent / "theirs")
    folder.symlink_to(theirs)
    if is_whole:
        assert started(own_set).result().warnings == ()
        return
    (theirs / "meta.json").unlink()
    before = sorted(theirs.rglob("*"))
    with pytest.raises(RequestError, match=rf"symbolic link: {folder} leads to {theirs}; remove"):
        started(own_set).result()
    assert sorted(theirs.rglob("*")) == before


def test_two_concurrent_processes_prepare_once(own_set: Path, quick_split: Path) -> None:
    first, second = started(own_set), started(own_set)
    assert first.result() == second.result()
    assert quick_split.read_text().splitlines() == ["split"]


def test_a_pickle_in_the_cache_is_never_loaded(own_set: Path, quick_split: Path) -> None:
    first = started(own_set).result()
    file, harm = first.folder / "x_train.npy", own_set.parent / "harm"
    whole, folder = file.read_bytes(), first.folder
    plant(file, harm, file.stat().st_size)
    meta = json.loads((folder / "meta.json").read_text())
    meta["file_digests"]["x_train.npy"] = digest_file(file)  # an attacker can change the digest too
    (folder / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(RequestError, match=r"x_train\.npy is not"):
        load_training_data(folder, "unit")
    [warning] = started(own_set).result().warnings
    assert "x_train.npy is not the array" in warning
    assert not harm.exists()
    assert file.read_bytes() == whole


def test_four_concurrent_processes_prepare_once(own_set: Path, quick_split: Path) -> None:
    results = [preparation.result() for preparation in [started(own_set) for _ in range(4)]]
    assert len({result.folder for result in results}) == 1
    assert quick_split.read_text().splitlines() == ["split"]
    assert len(prepared_folders(own_set)) == 1


def test_a_bug_in_the_child_is_reported_with_its_traceback(own_set: Path, stub: Stub) -> None:
    stub("sklearn.model_selection", "def train_test_split(*arrays, **options):\n    return 1 / 0\n")
    with pytest.raises(WorkerBug, match=r"(?s)exit code 1.*Traceback.*ZeroDivisionError"):
        started(own_set).result()
    assert prepared_folders(own_set) == []


def test_output_of_libraries_is_ignored(own_set: Path, stub: Stub) -> None:
    stub(
        "sklearn.model_selection",
        "import os\n"
        "def train_test_split(indices, test_size, **options):\n"
        "    print('{}'); os.system('echo noise')\n"
        "    return indices[test_size:], indices[:test_size]\n",
    )
    assert started(own_set).result().train_images == 50


def test_a_file_that_changes_while_it_is_read_is_refused(own_set: Path, stub: Stub) -> None:
    stub(
        "sklearn.model_selection",
        "import os\n"
        "def train_test_split(indices, test_size, **options):\n"
        f"    os.utime({str(own_set)!r}, (1, 1))\n"
        "    return indices[test_size:], indices[:test_size]\n",
    )
    with pytest.raises(RequestError, match="changed while it was read"):
        started(own_set).result()
    assert prepared_folders(own_set) == []


def test_files_in_the_current_folder_shadow_no_module(
    own_set: Path, quick_split: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("experiments", "models", "json", "numpy", "random"):
        (own_set.parent / f"{module}.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(own_set.parent)
    monkeypatch.setenv(
        "PYTHONPATH", os.environ["PYTHONPATH"] + os.pathsep
    )  # an empty entry is the current folder
    data = prepare(OWN, Path("home"), Path())
    assert data.folder.is_absolute()
    assert data.folder.is_relative_to(own_set.parent / "home")


def test_a_missing_file_is_reported_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(RequestError, match=r"own.npz is not there"):
        start_preparing(OWN, tmp_path, tmp_path, tmp_path)
