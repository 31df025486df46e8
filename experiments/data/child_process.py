"""The process that prepares data, as its parent sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from typing import Any

from assay.models.errors import RequestError, SearchError
from assay.models.tasks import Task

STOP_SECONDS = 10.0
"""Time limit for a process to end after SIGTERM before it is killed."""


class PreparationError(RuntimeError):
    """The process that prepares data died; the message ends with its traceback.

    A wrong request is a `RequestError` instead.
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
            SearchError: home could not be written.
            PreparationError: the process died.
        """
        assert self._process.stdout is not None
        text = self._process.stdout.read()
        self._process.wait()
        try:
            answer = json.loads(text)
        except ValueError:
            raise PreparationError(self._explain_death()) from None
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
                stream.close()

    def _explain_death(self) -> str:
        code = self._process.returncode
        cause = f"signal {-code} (is there enough memory?)" if code < 0 else f"exit code {code}"
        self._errors.seek(0)
        return f"preparing the data ended with {cause}\n{self._errors.read()}".rstrip()


def _python_path() -> str:
    """Return PYTHONPATH without empty entries, each of which is the current folder."""
    return os.pathsep.join(
        entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry
    )
