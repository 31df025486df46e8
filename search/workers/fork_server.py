"""Fork server: a small process that imports the backend once and forks workers on request.

Importing a backend takes over ten seconds and hundreds of megabytes. A fork takes milliseconds and
shares the memory. It works only if the process has run no operation of the backend: the first one
starts threads, and threads do not survive a fork.

The control socket brings requests `{"worker": 3, "environment": {...}}`, each with the worker's end
of a socket as a passed file descriptor. It carries `{"ready": pid}` once, then
`{"worker": 3, "pid": 77}` for each fork and `{"pid": 77, "status": -9}` for each exit (the negative
of a signal, as in `subprocess`).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from assay.search.workers.protocol import send_message
from assay.search.workers.worker import serve_calls

_PR_SET_PDEATHSIG = 1
_MAX_REQUEST_BYTES = 1 << 16


def main() -> None:
    """Run the fork server.

    Its command line is
    `python -m assay.search.workers.fork_server CONTROL_FD PRELOAD TRAINER ARGUMENTS`: PRELOAD and
    TRAINER are `package.module:name`, ARGUMENTS is a JSON object of the trainer's arguments.
    """
    control_fd, preload, trainer, arguments = sys.argv[1:]
    _exit_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the supervisor to act on
    control = socket.socket(fileno=int(control_fd))
    _import_name(preload)()
    send_message(control, {"ready": os.getpid()})
    make_trainer = functools.partial(_import_name(trainer), **json.loads(arguments))
    ForkServer(control, make_trainer).run()


class ForkServer:
    """Forks workers until the supervisor closes the control socket.

    Args:
        control: the control socket.
        make_trainer: returns the trainer of a worker; called in the worker.
    """

    def __init__(self, control: socket.socket, make_trainer: Callable[[], Any]) -> None:
        self._control = control
        self._make_trainer = make_trainer
        self._workers: set[int] = set()  # process ids
        # A signal writes a byte to the pipe, which ends `select` when a worker has exited.
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_writer, False)
        signal.set_wakeup_fd(self._wake_writer)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        """Fork workers and report their exits; at the end kill those that are left."""
        try:
            while True:
                readable, _, _ = select.select([self._control.fileno(), self._wake_reader], [], [])
                if self._wake_reader in readable:
                    os.read(self._wake_reader, 4096)
                    self._reap_workers()
                if self._control.fileno() in readable and not self._handle_request():
                    break
        finally:
            # After an error too: a stopped worker cannot notice that its supervisor has gone.
            for pid in self._workers:
                os.kill(pid, signal.SIGKILL)
        os._exit(0)

    def _handle_request(self) -> bool:
        """Fork a worker; return False if the supervisor has closed the socket."""
        try:
            content, descriptors, _, _ = socket.recv_fds(self._control, _MAX_REQUEST_BYTES, 1)
        except ConnectionError:  # it was closed with messages unread, or the supervisor was killed
            return False
        if not content:
            return False
        request = json.loads(content)
        pid = os.fork()
        if pid == 0:
            self._run_worker(socket.socket(fileno=descriptors[0]), request["environment"])
        # No other worker may inherit it: it would keep the connection of a dead worker open.
        os.close(descriptors[0])
        self._workers.add(pid)
        self._send({"worker": request["worker"], "pid": pid})
        return True

    def _run_worker(self, connection: socket.socket, environment: Mapping[str, str]) -> None:
        """Serve a worker's calls in the forked process, and exit."""
        status = 1
        try:
            # Undo what only the fork server needs. Its socket must not stay open here: the
            # supervisor takes the end of it for the end of the fork server.
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.close()
            os.environ.update(environment)  # read when the worker first uses its device
            serve_calls(connection, self._make_trainer)
            status = 0
        except BaseException:
            traceback.print_exc()  # into the log, whose end the executor shows
        finally:
            # Not sys.exit: exit handlers that the fork server has registered are not the worker's.
            sys.stderr.flush()
            os._exit(status)

    def _reap_workers(self) -> None:
        """Report every worker that has exited."""
        with contextlib.suppress(ChildProcessError):  # there is no worker
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._workers.discard(pid)
                self._send({"pid": pid, "status": os.waitstatus_to_exitcode(status)})

    def _send(self, message: dict[str, Any]) -> None:
        # If the supervisor is gone, the next read of the socket ends the loop.
        with contextlib.suppress(OSError):
            send_message(self._control, message)


def _import_name(reference: str) -> Callable[..., Any]:
    """Import a reference such as `package.module:name`."""
    module, _, name = reference.partition(":")
    imported: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return imported


def _exit_with_parent() -> None:
    """Have Linux kill this process when its parent dies.

    While it imports the backend it cannot notice that the control socket was closed.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
