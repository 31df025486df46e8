"""Executor of this machine: workers are processes, forked by a fork server, driven over sockets."""

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

# How far the resident memory of a worker may grow after its first trial before it is replaced.
# Keras leaks over many models (keras-team/keras#20552): 1 GiB is some hundred small ones.
MAX_GROWTH_BYTES = 1 << 30

_CLOSE_TIMEOUT_SECONDS = 2.0
_EXIT_STATUS_TIMEOUT_SECONDS = 2.0
_MAX_FAILED_STARTS = 3
_LOG_TAIL_CHARACTERS = 2000


@dataclass(frozen=True)
class WorkerRecipe:
    """How workers are made.

    Attributes:
        preload: `package.module:name` of the function that imports the backend.
        trainer: `package.module:name` of the trainer.
        arguments: arguments of the trainer, as JSON has them.
        environment: environment variables of the fork server, and so of all workers.
    """

    preload: str
    trainer: str
    arguments: Mapping[str, Any]
    environment: Mapping[str, str]


@dataclass
class _Worker:
    """A worker process, from the request for it to its death."""

    connection: socket.socket
    inbox: Inbox
    environment: Mapping[str, str]
    pid: int | None = None
    is_ready: bool = False
    is_busy: bool = False
    has_trained: bool = False
    first_resident_bytes: int | None = None  # after its first trial
    resident_bytes: int = 0
    hung_up_at: float | None = None
    exit_description: str | None = None  # once the fork server has reported it


class LocalExecutor:
    """Workers on this machine.

    Args:
        recipe: how workers are made.
        environments: further environment variables of each worker, such as the GPU it may use.
        max_growth_bytes: how far a worker's resident memory may grow before it is replaced between
            two trials.

    Example:
        >>> recipe = WorkerRecipe("package.worker:preload", "package.worker:Trainer", {}, {})
        >>> executor = LocalExecutor(recipe, environments=[{}, {}])  # two workers
        >>> executor.start()
        >>> executor.close()
    """

    def __init__(
        self,
        recipe: WorkerRecipe,
        environments: Sequence[Mapping[str, str]],
        max_growth_bytes: int = MAX_GROWTH_BYTES,
    ) -> None:
        self._recipe = recipe
        self._environments = environments
        self._max_growth_bytes = max_growth_bytes
        self._selector = selectors.DefaultSelector()
        self._workers: dict[int, _Worker] = {}
        self._next_number = 0
        # Workers to be requested: number, worker, and the socket's end that it is to have.
        self._requests: deque[tuple[int, _Worker, socket.socket]] = deque()
        self._is_forking = False
        self._failed_starts = 0  # in a row
        self._oom_kills = hardware.count_oom_kills()

    # The executor protocol.

    def start(self) -> None:
        """Start the fork server, and request the workers; return before they have started."""
        control, server_end = socket.socketpair()
        # The output of workers matters only if they fail to start: then its end is in the error.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the executor
        command = [
            sys.executable,
            "-P",  # no folder of the current directory may hide a package
            "-m",
            "assay.search.workers.fork_server",
            str(server_end.fileno()),
            self._recipe.preload,
            self._recipe.trainer,
            json.dumps(dict(self._recipe.arguments)),
        ]
        with server_end:
            self._fork_server = subprocess.Popen(
                command,
                env={**os.environ, **self._recipe.environment},
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=[server_end.fileno()],
                start_new_session=True,  # Ctrl-C in a terminal is for the supervisor to act on
            )
        control.setblocking(False)
        self._control = control
        self._control_inbox = Inbox(control)
        self._is_fork_server_ready = False
        # Its data is None; those of workers have their number.
        self._selector.register(control, selectors.EVENT_READ, None)
        for environment in self._environments:
            self._request_worker(environment)

    def idle(self) -> Sequence[int]:
        """Return the workers that have started and have no trial."""
        return [
            number
            for number, worker in self._workers.items()
            if worker.is_ready and not worker.is_busy and worker.hung_up_at is None
        ]

    def process(self, worker: int) -> int:
        """Return the worker itself: each is a process of its own."""
        return worker

    def call(self, worker: int, method: Method, **arguments: Any) -> None:
        """Send a call to a worker; `wait` returns its answer, or its death."""
        record = self._workers[worker]
        record.is_busy = True
        record.has_trained |= method in ("epoch", "batch")
        with contextlib.suppress(OSError):  # the worker has died: `wait` reports it
            send_message(record.connection, {"method": method, "arguments": arguments})

    def wait(self, timeout_seconds: float) -> Sequence[Message]:
        """Return the messages that have arrived, waiting up to the timeout for the first.

        Raises:
            SearchError: workers cannot be started.
        """
        messages: list[Message] = []
        for key, _ in self._selector.select(timeout_seconds):
            if key.data is None:
                self._read_fork_server()
            else:
                messages += self._read_worker(key.data)
        return [*messages, *self._replace_dead_workers()]

    def release(self, worker: int) -> None:
        """Make a worker idle after its trial, or replace it if it has grown too far."""
        record = self._workers[worker]
        record.is_busy = False
        if not record.has_trained:  # only training shows how large a worker is
            return
        if record.first_resident_bytes is None:
            record.first_resident_bytes = record.resident_bytes
        if record.resident_bytes - record.first_resident_bytes > self._max_growth_bytes:
            self.replace(worker)

    def replace(self, worker: int) -> None:
        """Replace a worker that has no call to answer."""
        environment = self._workers[worker].environment
        self._hang_up(worker)
        self._request_worker(environment)

    def kill(self, worker: int) -> None:
        """Kill a worker at once, whatever it is doing, and replace it."""
        pid = self._workers[worker].pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.replace(worker)

    def close(self) -> None:
        """End all workers, and wait until they are gone.

        A second call does nothing.
        """
        if self._control.fileno() < 0:
            return
        for number in list(self._workers):
            self._hang_up(number)
        for _, worker, worker_end in self._requests:
            worker.connection.close()
            worker_end.close()
        self._requests.clear()
        # The fork server then kills the workers that are left, and exits.
        self._control.close()
        try:
            # While it imports the backend it cannot notice the close, and has no worker.
            timeout_seconds = _CLOSE_TIMEOUT_SECONDS if self._is_fork_server_ready else 0
            self._fork_server.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self._fork_server.kill()
            self._fork_server.wait()
        self._selector.close()
        self._log.close()

    def pids(self) -> Sequence[int]:
        """Return the process ids of the workers that have started; tests watch and kill them."""
        return [worker.pid for worker in self._workers.values() if worker.pid is not None]

    # Starting workers.

    def _request_worker(self, environment: Mapping[str, str]) -> None:
        connection, worker_end = socket.socketpair()
        worker = _Worker(connection, Inbox(connection), environment)
        self._requests.append((self._next_number, worker, worker_end))
        self._next_number += 1
        self._send_next_request()

    def _send_next_request(self) -> None:
        """Send one request, if the fork server has answered the last one.

        File descriptors of several requests could arrive together, without a sign which belongs to
        which.
        """
        if self._is_forking or not self._is_fork_server_ready or not self._requests:
            return
        number, worker, worker_end = self._requests.popleft()
        request = {"worker": number, "environment": dict(worker.environment)}
        # If the fork server has died, `_read_fork_server` reports it.
        with worker_end, contextlib.suppress(OSError):
            socket.send_fds(self._control, [json.dumps(request).encode()], [worker_end.fileno()])
        self._workers[number] = worker
        self._selector.register(worker.connection, selectors.EVENT_READ, number)
        self._is_forking = True

    def _read_fork_server(self) -> None:
        """Read the fork server's messages, and send it the next request.

        Raises:
            SearchError: it has died.
        """
        for message in self._control_inbox.receive():
            if "ready" in message:
                self._is_fork_server_ready = True
            elif "status" in message:
                self._note_exit(message["pid"], message["status"])
            else:
                self._is_forking = False
                if message["worker"] in self._workers:
                    self._workers[message["worker"]].pid = message["pid"]
        if self._control_inbox.at_end:
            description = _exit_description(self._fork_server.wait())
            if self._is_fork_server_ready:
                raise SearchError(
                    f"the process that starts workers died ({description}); "
                    "the same command goes on from here."
                )
            raise SearchError(f"workers can't be started ({description}):\n{self._log_tail()}")
        self._send_next_request()

    def _note_exit(self, pid: int, status: int) -> None:
        for worker in self._workers.values():
            if worker.pid == pid:
                worker.exit_description = _exit_description(status)

    # Messages and deaths of workers.

    def _read_worker(self, number: int) -> list[Message]:
        worker = self._workers.get(number)
        if worker is None:  # replaced while the selector returned
            return []
        messages: list[Message] = []
        for message in worker.inbox.receive():
            if "ready" in message:
                worker.is_ready = True
                self._failed_starts = 0
            elif "error" in message:
                messages.append(Raised(number, **message))
            else:
                worker.resident_bytes = message["resident_bytes"]
                messages.append(Reply(number, message["value"]))
        if worker.inbox.at_end:
            self._selector.unregister(worker.connection)
            worker.hung_up_at = time.monotonic()
        return messages

    def _replace_dead_workers(self) -> list[Message]:
        """Replace the workers that have hung up, and return their deaths.

        Raises:
            SearchError: workers die as they start.
        """
        deaths: list[Message] = []
        for number, worker in list(self._workers.items()):
            if worker.hung_up_at is None:
                continue
            # The fork server reports how it died, soon after it has hung up.
            has_had_time = time.monotonic() - worker.hung_up_at >= _EXIT_STATUS_TIMEOUT_SECONDS
            if worker.exit_description is None and not has_had_time:
                continue
            if not worker.is_ready:
                self._failed_starts += 1
                if self._failed_starts >= _MAX_FAILED_STARTS:
                    raise SearchError(
                        f"workers die as they start ({worker.exit_description}):\n"
                        f"{self._log_tail()}"
                    )
            worker.connection.close()
            del self._workers[number]
            description = worker.exit_description or "unknown cause"
            deaths.append(Died(number, description, self._likely_cause(worker)))
            self._request_worker(worker.environment)
        return deaths

    def _likely_cause(self, worker: _Worker) -> str | None:
        """Return a note if the kernel may have killed a worker for want of memory.

        Its signal is SIGKILL, as of any other kill; the kernel's counter tells.
        """
        before, self._oom_kills = self._oom_kills, hardware.count_oom_kills()
        if worker.exit_description != signal.SIGKILL.name or self._oom_kills == before:
            return None
        return (
            "memory ran out: the kernel's out-of-memory killer has killed a process of this "
            "machine in the meantime."
        )

    def _hang_up(self, number: int) -> None:
        """Close the connection to a worker, which makes it exit."""
        # One that has hung up itself is not in the selector any more.
        worker = self._workers.pop(number)
        if worker.hung_up_at is None:
            self._selector.unregister(worker.connection)
        worker.connection.close()

    def _log_tail(self) -> str:
        """Return the last lines that the fork server and the workers have printed."""
        self._log.seek(0)
        text = self._log.read().decode(errors="replace").strip()
        return text[-_LOG_TAIL_CHARACTERS:] or "they printed nothing"


def _exit_description(status: int) -> str:
    """Return the signal or the exit status of a process as text."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:  # real-time signals have no names
        return f"signal {-status}"
