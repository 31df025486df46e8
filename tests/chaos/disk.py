"""Disks that fill up: a folder of home, or a database, lies on a small tmpfs, which is made larger after the failure.

Which write fails first follows from what lies on the small disk; how far the sweep gets, from its
size.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from assay.experiments.maintenance.doctor import diagnose
from tests.chaos.cases import STUDY, Seen, home, sweep
from tests.chaos.sessions import Sessions, Zygote, is_alive
from tests.chaos.verdict import Verdict, ended_well, judge

_TRIALS = 40
_ENOUGH = "64m"


@dataclass(frozen=True)
class Disk:
    """A place that is small at first.

    Attributes:
        what: fails to be written.
        folder: within home, that lies on the small disk; with a database's name, what is on it is
            moved there.
        size: of the disk, as mount has it.
        words: that the line about it must have.
    """

    what: str
    folder: str
    size: str
    words: str


DISKS = (
    Disk("Optuna's storage", "optuna.db", "148k", "disk is full"),
    Disk("the journal", "journal", "24k", "No space left on device): make room"),
    Disk("MLflow's database", "mlflow.db", "1200k", "MLflow has not taken everything"),
    Disk("artifacts", "artifacts", "4k", "MLflow has not taken everything"),
    Disk("prepared data", "data", "64k", "No space left on device): make room"),
    Disk("all of home", "", "1600k", "disk is full"),
)


def can_mount() -> bool:
    """Return whether this process may mount a disk."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], capture_output=True
        )
        if done.returncode == 0:
            subprocess.run(["umount", folder], check=True)
        return done.returncode == 0


@contextmanager
def small(folder: Path, size: str) -> Iterator[None]:
    """Have a folder lie on a disk of its own while entered, with what was in it as far as there is room."""
    with tempfile.TemporaryDirectory() as aside:
        there = Path(aside) / "there"
        if folder.exists():
            shutil.move(folder, there)
        folder.mkdir(parents=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True
        )
        try:
            if there.exists():
                shutil.copytree(there, folder, dirs_exist_ok=True)
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def make_room(folder: Path) -> None:
    """Make the disk that a folder lies on as large as anybody could need."""
    subprocess.run(["mount", "-o", f"remount,size={_ENOUGH}", str(folder)], check=True)


def single_run(zygote: Zygote) -> Iterator[Seen]:
    """Fill MLflow's disk under a single run; once there is room, whichever command comes next tells it the rest."""
    with home(zygote) as sessions:
        disk = Disk("MLflow's database", "mlflow.db", "1020k", "MLflow has not taken everything")
        folder = _place(sessions, disk)
        with small(folder, disk.size):
            status = sessions.run("run", STUDY, "--epochs", "400")
            said = sessions.errors.read_text()
            make_room(folder)
            differs = sessions.run("doctor")
            again = sessions.run("doctor", "--fix")
            left = diagnose(sessions.store_paths, fix=False).differences
        verdict = Verdict(
            disagreements=len(left), told=tuple(_faults(disk, status, said, 0, again, sessions))
        )
        if differs != 1:
            verdict.told = (*verdict.told, f"doctor ended with {differs}")
        yield Seen(
            f"no room for {disk.what}, a single run",
            f"statuses {[status, differs, again]}",
            verdict,
        )


def full(zygote: Zygote, disks: Iterable[Disk] = DISKS) -> Iterator[Seen]:
    """Fill each disk in the middle of a sweep, make room, and go on."""
    if not can_mount():
        yield Seen(
            "a full disk",
            "this process may not mount a small one",
            Verdict(told=("was not tried",)),
        )
        return
    for disk in disks:
        with home(zygote) as sessions:
            folder = _place(sessions, disk)
            if disk.folder == "data":  # it is the first write to home that fails
                shutil.rmtree(folder)
            wanted = sweep(_TRIALS, 2, "--sampler", "random")
            with small(folder, disk.size):
                status = sessions.run(*wanted)
                said = sessions.errors.read_text()
                finished = ended_well(sessions.home, STUDY)
                alive = sum(map(is_alive, sessions.worker_pids()))
                make_room(folder)
                again = sessions.run(*wanted)
                verdict = judge(sessions, STUDY, finished)
            told = _faults(disk, status, said, alive, again, sessions)
            verdict.told = (*verdict.told, *told)
            yield Seen(
                f"no room for {disk.what}",
                f"statuses {[status, again]}, {len(finished)} trials by then",
                verdict,
            )


def _place(sessions: Sessions, disk: Disk) -> Path:
    """Return the folder to put on the small disk; a database is moved into one of its own."""
    if not disk.folder.endswith(".db"):
        return sessions.home / disk.folder
    folder = sessions.home.parent / "database"
    folder.mkdir()
    if (sessions.home / disk.folder).exists():
        shutil.move(sessions.home / disk.folder, folder)
    store = "storage" if disk.folder == "optuna.db" else "tracking_uri"
    sessions.stores[store] = f"sqlite:///{folder / disk.folder}"
    return folder


def _faults(
    disk: Disk, status: int, said: str, alive: int, again: int, sessions: Sessions
) -> list[str]:
    lines = [line for line in said.splitlines() if line.startswith("assay: ")]
    faults = []
    if status != 1:
        faults.append(f"it ended with {status}")
    if len(lines) != 1 or disk.words not in lines[0] or "Traceback" in said:
        faults.append(f"it did not say in one line that {disk.words!r}: {said[-800:]}")
    if alive:
        faults.append(f"{alive} workers outlived it")
    if again != 0:
        faults.append(f"it did not go on: {sessions.errors.read_text()[-800:]}")
    return faults
