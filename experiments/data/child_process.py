"""The process that prepares data, as its parent sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from assay.models.errors import RequestError, SearchError, WorkerBug
from assay.models.tasks import Task

STOP_SECONDS = 10.0
"""Time limit for a process to end after SIGTERM before it is killed."""


class PreparationError(SearchError):
    """The process that prepares data was killed, for example because memory ran out.

    A wrong request is a `RequestError` instead, and a bug is a `WorkerBug` with its traceback.
    """


@dataclass(frozen=True)
class PreparationJob:
    """What to prepare; all paths are absolute.

    Attributes:
        settings: the fields of `DataSettings`.
        task: the task that the data is for.
        home: the folder of everything that running produces.
        data_dir: the folder where published data sets are kept.
        base: the folder that a relative PATH starts from.
        parent: process id of the parent.
    """

    settings: dict[str, Any]
    task: Task
    home: str
    data_dir: str
    base: str
    parent: int


class ChildProcess:
    """A running `python -m assay.experiments.data.child`."""

    def __init__(self, job: PreparationJob) -> None:
        """Start the process; returns at once."""
        # A file, because a pipe that is not read could fill up and block the process.
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            # -P: nothing in the current folder shadows a module.
            [sys.executable, "-P", "-m", "assay.experiments.data.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, "PYTHONPATH": _python_path()},
            start_new_session=True,  # the terminal's Ctrl-C reaches only this process
        )
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(asdict(job)) + "\n")
            self._process.stdin.flush()  # stays open: the process ends when it is closed
        except BrokenPipeError:
            pass  # the process died at once; `wait_for_answer` says why

    def wait_for_answer(self) -> str:
        """Wait for the path of the prepared folder.

        Raises:
            RequestError: the request was wrong.
            SearchError: home could not be written, or memory ran out.
            PreparationError: the process was killed.
            WorkerBug: the process failed; the message has its traceback.
        """
        assert self._process.stdout is not None
        text = self._process.stdout.read()
        self._process.wait()
        try:
            answer = json.loads(text)
        except ValueError:
            raise self._explain_death() from None
        if "error" in answer:
            raise RequestError(answer["error"])
        if "failure" in answer:
            raise SearchError(answer["failure"])
        return str(answer["folder"])

    def stop(self) -> None:
        """End the process and wait for its end; a second call does nothing."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                # Closing writes what is left in the buffer, to a process that may be gone.
                with suppress(BrokenPipeError):
                    stream.close()

    def _explain_death(self) -> PreparationError | WorkerBug:
        code = self._process.returncode
        # On SIGTERM the process removes its files and exits with 128 + 15.
        number = -code if code < 0 else code - 128
        if number == signal.SIGKILL:
            return PreparationError(
                f"preparing the data ended with signal {number}: is there enough memory? "
                "Free some, or prepare a smaller data set."
            )
        if number > 0:
            return PreparationError(
                f"preparing the data ended with signal {number}: start it again."
            )
        self._errors.seek(0)
        return WorkerBug(
            f"preparing the data ended with exit code {code}\n{self._errors.read()}".rstrip()
        )


def _python_path() -> str:
    """Return PYTHONPATH without empty entries, each of which is the current folder."""
    return os.pathsep.join(
        entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry
    )
