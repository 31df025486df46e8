"""`assay` commands in a home, which the cases can kill."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from assay.experiments.workspace import StorePaths
from tests.benchmarks.processes import environment
from tests.chaos.points import Point


class Zygote(AbstractContextManager["Zygote"]):
    """Process that forks the commands, for any number of homes."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.zygote"],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()

    def ask(self, **what: Any) -> dict[str, Any]:
        """Send a request to start a command or to wait for one; return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(what), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the zygote has died: {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Sessions:
    """Commands in one home.

    Commands write their output to the files `out` and `errors`. Workers log their actions in `log`.

    Args:
        zygote: process that forks the commands.
        folder: folder of the home and of these files.
        storage: Optuna's storage, if it is not in the home.
        tracking_uri: MLflow's store, if it is not in the home.
        epoch_seconds: duration of an epoch of the stub.
        real: whether to train networks instead of the stub.

    Attributes:
        stores: URLs of the stores that are not in the home, by their names in `StorePaths`.
    """

    def __init__(
        self,
        zygote: Zygote,
        folder: Path,
        storage: str | None = None,
        tracking_uri: str | None = None,
        epoch_seconds: float = 0.005,
        real: bool = False,
    ) -> None:
        self.home, self.log = folder / "home", folder / "log"
        self.out, self.errors = folder / "out", folder / "errors"
        self.log.touch()
        given = {"storage": storage, "tracking_uri": tracking_uri}
        self.stores = {name: url for name, url in given.items() if url is not None}
        self._zygote = zygote
        self._epoch_seconds = epoch_seconds
        self._real = real

    @property
    def store_paths(self) -> StorePaths:
        """Paths of the stores of its studies."""
        return StorePaths.choose(home=self.home, **self.stores)

    def start(self, *argv: str, points: Sequence[Point] = ()) -> int:
        """Start a command that dies at `points`; return its process id."""
        started = self._zygote.ask(
            argv=[*argv, "--home", str(self.home), *self._options()],
            epoch_seconds=self._epoch_seconds,
            real=self._real,
            log=str(self.log),
            out=str(self.out),
            errors=str(self.errors),
            points=[dataclasses.asdict(point) for point in points],
        )
        return int(started["started"])

    def wait(self, pid: int) -> int:
        """Wait for the end of a command; return its exit status.

        The status is the negative signal number if a signal ended the command.
        """
        return int(self._zygote.ask(wait=pid)["status"])

    def run(self, *argv: str, points: Sequence[Point] = ()) -> int:
        """Run a command to its end; return its exit status."""
        return self.wait(self.start(*argv, points=points))

    def worker_pids(self) -> list[int]:
        """Return the process ids of all workers, past and present."""
        lines: Sequence[str] = self.log.read_text().splitlines()
        return [int(line.split()[2]) for line in lines if line.startswith("worker")]

    def _options(self) -> list[str]:
        return [
            word
            for name, url in self.stores.items()
            for word in (f"--{name.replace('_', '-')}", url)
        ]


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie process does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill(pid: int) -> None:
    """Send SIGKILL to a process if it exists."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
