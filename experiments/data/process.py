"""The child process as its parent sees it: started with a job, asked for its answer, stopped."""

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

# What the process that prepares data is asked.


@dataclass(frozen=True)
class Job:
    """What to prepare; all paths absolute.

    Attributes:
        settings: the fields of `DataSettings`.
        home: the folder for everything that running produces.
        task: what it is prepared for, 'classification' or 'regression'.
        data_dir: where known sets are kept.
        base: what a relative path of a user's own set is relative to.
        parent: process id of who asks.
    """

    settings: dict[str, Any]
    task: Task
    home: str
    data_dir: str
    base: str
    parent: int


STOP_SECONDS = 10.0
"""How long a child that was told to end may tidy up before it is killed."""


class PreparationError(RuntimeError):
    """The child died of a bug or of the machine, not of the request; the message ends with its
    traceback.
    """


class ChildProcess:
    """A running `python -m assay.data.child`."""

    def __init__(self, job: Job) -> None:
        """Start it; returns at once."""
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  a pipe could fill up and block it
        self._process = subprocess.Popen(
            # -P: nothing in the current folder shadows a module.
            [sys.executable, "-P", "-m", "assay.experiments.data.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, "PYTHONPATH": _path()},
            start_new_session=True,  # the terminal's Ctrl-C is for us alone
        )
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(asdict(job)) + "\n")
            self._process.stdin.flush()  # and left open: when it closes, the child ends
        except BrokenPipeError:
            pass  # it died at once; `answer` says of what

    def answer(self) -> str:
        """Wait, and return the folder.

        Raises:
            RequestError: the request was wrong.
            SearchError: home could not be written.
            PreparationError: the child died.
        """
        assert self._process.stdout is not None
        text = self._process.stdout.read()
        self._process.wait()
        try:
            answer = json.loads(text)
        except ValueError:
            raise PreparationError(self._cause_of_death()) from None
        if "error" in answer:
            raise RequestError(answer["error"])
        if "failure" in answer:
            raise SearchError(answer["failure"])
        return str(answer["folder"])

    def stop(self) -> None:
        """End it if it runs, and wait until it has ended. May be called again."""
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

    def _cause_of_death(self) -> str:
        code = self._process.returncode
        how = f"signal {-code} (is there enough memory?)" if code < 0 else f"exit code {code}"
        self._errors.seek(0)
        return f"preparing the data ended with {how}\n{self._errors.read()}".rstrip()


def _path() -> str:
    """Return PYTHONPATH without empty entries, each of which would be the current folder."""
    return os.pathsep.join(
        entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry
    )
