"""The executor of this machine: workers as processes, forked by a nursery, driven over sockets."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.models.errors import SearchError
from assay.search.system import hardware
from assay.search.workers.protocol import Died, Inbox, Message, Method, Raised, Reply, send_message

# How much a worker's resident memory may grow between its first trial and any later one before it
# is replaced. Keras leaks over many models (keras-team/keras#20552): 1 GiB is some hundred small
# ones.
GROWTH_LIMIT_BYTES = 1 << 30
_FAREWELL_SECONDS = 2.0
_EXIT_REPORT_PATIENCE_SECONDS = 2.0
_FUTILE_STARTS_LIMIT = 3
_LAST_WORDS_CHARACTERS = 2000


@dataclass(frozen=True)
class WorkerRecipe:
    """How workers are made: `package.module:name` of what to import first and of the trainer, and
    its arguments.
    """

    preload: str
    trainer: str
    arguments: Mapping[str, Any]
    environment: Mapping[str, str]


@dataclass
class _Worker:
    connection: socket.socket
    inbox: Inbox
    environment: Mapping[str, str]
    pid: int | None = None
    ready: bool = False
    busy: bool = False
    trained: bool = False
    resident_at_first_bytes: int | None = None
    resident_bytes: int = 0
    hung_up_at: float | None = None
    how: str | None = None


class LocalExecutor:
    """Workers on this machine.

    Args:
        recipe: how a worker is made.
        environments: one mapping of environment variables a worker, such as the GPU it may see.
        growth_limit_bytes: how far a worker's resident memory may grow before it is replaced
            between two trials.
    """

    def __init__(
        self,
        recipe: WorkerRecipe,
        environments: Sequence[Mapping[str, str]],
        growth_limit_bytes: int = GROWTH_LIMIT_BYTES,
    ) -> None:
        self._recipe = recipe
        self._environments = environments
        self._growth_limit_bytes = growth_limit_bytes
        self._selector = selectors.DefaultSelector()
        self._workers: dict[int, _Worker] = {}
        self._wanted: deque[tuple[int, _Worker, socket.socket]] = deque()
        self._spawning = False
        self._next = 0
        self._futile_starts = 0
        self._oom_kills = hardware.count_oom_kills()

    def start(self) -> None:
        """Start the nursery and ask it for the workers; returns before any of them is up."""
        control, theirs = socket.socketpair()
        # What workers print is of interest only when they do not start; then its last lines are in
        # the error.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the executor
        with theirs:
            # -P: a folder called `models` in the user's current directory must not shadow our own.
            self._nursery = subprocess.Popen(
                [
                    *(
                        sys.executable,
                        "-P",
                        "-m",
                        "assay.search.workers.fork_server",
                        str(theirs.fileno()),
                    ),
                    *(
                        self._recipe.preload,
                        self._recipe.trainer,
                        json.dumps(dict(self._recipe.arguments)),
                    ),
                ],
                env={**os.environ, **self._recipe.environment},
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a terminal's Ctrl-C is the supervisor's to act on
            )
        control.setblocking(False)
        self._control = control
        self._control_inbox = Inbox(control)
        self._nursery_ready = False
        self._selector.register(control, selectors.EVENT_READ, None)
        for environment in self._environments:
            self._want(environment)

    def idle(self) -> Sequence[int]:
        """Return the workers that are up and have no trial."""
        return [
            number
            for number, worker in self._workers.items()
            if worker.ready and not worker.busy and worker.hung_up_at is None
        ]

    def pids(self) -> Sequence[int]:
        """Return the process ids of the workers that have started."""
        return [worker.pid for worker in self._workers.values() if worker.pid is not None]

    def process(self, worker: int) -> int:
        """Return the worker itself: each is a process of its own."""
        return worker

    def call(self, worker: int, method: Method, **arguments: Any) -> None:
        """Send a call to a worker; its answer, or its death, comes out of `wait`."""
        self._workers[worker].busy = True
        self._workers[worker].trained |= method in ("epoch", "batch")
        with contextlib.suppress(OSError):  # it has died: `wait` says so
            send_message(
                self._workers[worker].connection, {"method": method, "arguments": arguments}
            )

    def wait(self, timeout_seconds: float) -> Sequence[Message]:
        """Return what workers have said, waiting for at most so long for the first of it.

        Raises:
            SearchError: workers can't be started.
        """
        messages: list[Message] = []
        for key, _ in self._selector.select(timeout_seconds):
            if key.data is None:
                self._hear_nursery()
            else:
                messages += self._hear_worker(key.data)
        return [*messages, *self._deaths()]

    def release(self, worker: int) -> None:
        """Make a worker idle again after its trial, or replace it if it has grown too far."""
        record = self._workers[worker]
        record.busy = False
        if not record.trained:  # only a trial says how large a worker is
            return
        if record.resident_at_first_bytes is None:
            record.resident_at_first_bytes = record.resident_bytes
        if record.resident_bytes - record.resident_at_first_bytes > self._growth_limit_bytes:
            self.replace(worker)

    def replace(self, worker: int) -> None:
        """End a worker that is not in the middle of a call, and have another in its place."""
        environment = self._workers[worker].environment
        self._forget(worker)
        self._want(environment)

    def kill(self, worker: int) -> None:
        """End a worker at once, whatever it is doing, stopped or not; have another in its place."""
        pid = self._workers[worker].pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.replace(worker)

    def close(self) -> None:
        """End every worker at once, whatever it is doing, and wait until they are gone. Closing
        twice is no mistake.
        """
        if self._control.fileno() < 0:
            return
        for number in list(self._workers):
            self._forget(number)
        self._control.close()  # the nursery takes its children along; while it imports it has none and can't hear
        try:
            self._nursery.wait(timeout=_FAREWELL_SECONDS if self._nursery_ready else 0)
        except subprocess.TimeoutExpired:
            self._nursery.kill()
            self._nursery.wait()
        self._selector.close()
        self._log.close()

    def _want(self, environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        self._wanted.append((self._next, _Worker(ours, Inbox(ours), environment), theirs))
        self._next += 1
        self._spawn_next()

    def _spawn_next(self) -> None:
        """Ask for one worker at a time: file descriptors passed in one go could not be told
        apart.
        """
        if self._spawning or not self._nursery_ready or not self._wanted:
            return
        number, worker, theirs = self._wanted.popleft()
        request = {"worker": number, "environment": dict(worker.environment)}
        with theirs, contextlib.suppress(OSError):  # the nursery has died: `_hear_nursery` says so
            socket.send_fds(self._control, [json.dumps(request).encode()], [theirs.fileno()])
        self._workers[number] = worker
        self._selector.register(worker.connection, selectors.EVENT_READ, number)
        self._spawning = True

    def _hear_nursery(self) -> None:
        for message in self._control_inbox.receive():
            if "ready" in message:
                self._nursery_ready = True
            elif "status" in message:
                self._note_exit(message["pid"], message["status"])
            else:
                self._spawning = False
                if message["worker"] in self._workers:
                    self._workers[message["worker"]].pid = message["pid"]
        if self._control_inbox.at_end:
            how = _how(self._nursery.wait())
            if self._nursery_ready:
                raise SearchError(
                    f"the process that starts workers died ({how}); the same command goes on from here."
                )
            raise SearchError(f"workers can't be started ({how}):\n{self._last_words()}")
        self._spawn_next()

    def _hear_worker(self, number: int) -> list[Message]:
        worker = self._workers.get(number)
        if worker is None:
            return []
        messages: list[Message] = []
        for said in worker.inbox.receive():
            if "ready" in said:
                worker.ready = True
                self._futile_starts = 0
            elif "error" in said:
                messages.append(Raised(number, **said))
            else:
                worker.resident_bytes = said["resident_bytes"]
                messages.append(Reply(number, said["value"]))
        if worker.inbox.at_end:
            self._selector.unregister(worker.connection)
            worker.hung_up_at = time.monotonic()
        return messages

    def _note_exit(self, pid: int, status: int) -> None:
        for worker in self._workers.values():
            if worker.pid == pid:
                worker.how = _how(status)

    def _deaths(self) -> list[Message]:
        """Replace the workers that hung up, once the nursery has said how they died or has had time
        to.
        """
        deaths: list[Message] = []
        for number, worker in list(self._workers.items()):
            if worker.hung_up_at is None:
                continue
            if (
                worker.how is None
                and time.monotonic() - worker.hung_up_at < _EXIT_REPORT_PATIENCE_SECONDS
            ):
                continue
            if not worker.ready:
                self._futile_starts += 1
                if self._futile_starts >= _FUTILE_STARTS_LIMIT:
                    raise SearchError(
                        f"workers die as they start ({worker.how}):\n{self._last_words()}"
                    )
            worker.connection.close()
            del self._workers[number]
            deaths.append(Died(number, worker.how or "unknown cause", self._likely_cause(worker)))
            self._want(worker.environment)
        return deaths

    def _likely_cause(self, worker: _Worker) -> str | None:
        """Say so if a worker may have been killed for want of memory, which its signal does not
        tell.
        """
        before, self._oom_kills = self._oom_kills, hardware.count_oom_kills()
        if worker.how != signal.SIGKILL.name or self._oom_kills == before:
            return None
        return "memory ran out: the kernel's out-of-memory killer was at work on this machine meanwhile."

    def _forget(self, number: int) -> None:
        """Hang up on a worker, which makes it exit."""
        worker = self._workers.pop(number)
        if worker.hung_up_at is None:
            self._selector.unregister(worker.connection)
        worker.connection.close()

    def _last_words(self) -> str:
        self._log.seek(0)
        return (
            self._log.read().decode(errors="replace").strip()[-_LAST_WORDS_CHARACTERS:]
            or "they printed nothing"
        )


def _how(status: int) -> str:
    """Return how a process ended, from its status as `subprocess` has it."""
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"
