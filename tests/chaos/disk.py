"""Disks that fill up during a command.

A folder of the home, or a database, is on a small tmpfs, which is enlarged after the failure. The
content of the disk determines which write fails first; its size determines how far the command
gets.
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
    """Small disk for a part of a home.

    Attributes:
        what: name of what cannot be written.
        folder: folder in the home that is on the disk, or name of the database that is moved there.
        size: size of the disk, as an option of mount.
        words: texts of which the error message must contain one.
    """

    what: str
    folder: str
    size: str
    words: tuple[str, ...]


DISKS = (
    Disk("Optuna's storage", "optuna.db", "148k", ("disk is full",)),
    Disk("the journal", "journal", "24k", ("No space left on device): make room",)),
    Disk("MLflow's database", "mlflow.db", "1200k", ("MLflow has not taken everything",)),
    Disk("artifacts", "artifacts", "4k", ("MLflow has not taken everything",)),
    Disk("prepared data", "data", "64k", ("No space left on device): make room",)),
    # Whichever store writes first once the disk is full.
    Disk(
        "all of home",
        "",
        "1600k",
        (
            "disk is full",
            "No space left on device): make room",
            "MLflow has not taken everything (No space left on device)",
        ),
    ),
)


def can_mount() -> bool:
    """Return whether this process may mount a tmpfs."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], capture_output=True
        )
        if done.returncode == 0:
            subprocess.run(["umount", folder], check=True)
        return done.returncode == 0


@contextmanager
def small(folder: Path, size: str) -> Iterator[None]:
    """Mount a small disk at a folder, and unmount it on exit.

    The content of the folder is copied to the disk.
    """
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
    """Enlarge the disk that is mounted at a folder."""
    subprocess.run(["mount", "-o", f"remount,size={_ENOUGH}", str(folder)], check=True)


def single_run(zygote: Zygote) -> Iterator[Seen]:
    """Fill MLflow's disk during a single run, make room, and repair.

    `assay doctor` must report the missing results, and `--fix` must add them.
    """
    with home(zygote) as sessions:
        disk = Disk("MLflow's database", "mlflow.db", "1020k", ("MLflow has not taken everything",))
        folder = _place(sessions, disk)
        with small(folder, disk.size):
            status = sessions.run("run", STUDY, "--epochs", "400")
            errors = sessions.errors.read_text()
            make_room(folder)
            differs = sessions.run("doctor")
            again = sessions.run("doctor", "--fix")
            left = diagnose(sessions.store_paths, fix=False).differences
        verdict = Verdict(
            disagreements=len(left), told=tuple(_faults(disk, status, errors, 0, again, sessions))
        )
        if differs != 1:
            verdict.told = (*verdict.told, f"doctor ended with status {differs}")
        yield Seen(
            f"no room for {disk.what}, a single run",
            f"statuses {[status, differs, again]}",
            verdict,
        )


def full(zygote: Zygote, disks: Iterable[Disk] = DISKS) -> Iterator[Seen]:
    """Fill each disk during a sweep, make room, and resume the sweep."""
    if not can_mount():
        yield Seen(
            "a full disk",
            "this process may not mount a tmpfs",
            Verdict(told=("was not tried",)),
        )
        return
    for disk in disks:
        with home(zygote) as sessions:
            folder = _place(sessions, disk)
            if disk.folder == "data":  # the sweep must prepare the data, which fails
                shutil.rmtree(folder)
            command = sweep(_TRIALS, 2, "--sampler", "random")
            with small(folder, disk.size):
                status = sessions.run(*command)
                errors = sessions.errors.read_text()
                finished = ended_well(sessions.home, STUDY)
                alive = sum(map(is_alive, sessions.worker_pids()))
                make_room(folder)
                again = sessions.run(*command)
                verdict = judge(sessions, STUDY, finished)
            told = _faults(disk, status, errors, alive, again, sessions)
            verdict.told = (*verdict.told, *told)
            yield Seen(
                f"no room for {disk.what}",
                f"statuses {[status, again]}, {len(finished)} trials before the failure",
                verdict,
            )


def _place(sessions: Sessions, disk: Disk) -> Path:
    """Return the folder for the small disk.

    A database is moved to a folder of its own.
    """
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
    disk: Disk, status: int, errors: str, alive: int, again: int, sessions: Sessions
) -> list[str]:
    lines = [line for line in errors.splitlines() if line.startswith("assay: ")]
    faults = []
    if status != 1:
        faults.append(f"the command ended with status {status}")
    is_named = len(lines) == 1 and any(words in lines[0] for words in disk.words)
    if not is_named or "Traceback" in errors:
        faults.append(f"the error is not one line with {disk.words}: {errors[-800:]}")
    if alive:
        faults.append(f"{alive} workers outlived the command")
    if again != 0:
        faults.append(f"the next command failed: {sessions.errors.read_text()[-800:]}")
    return faults
