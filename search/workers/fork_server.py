"""A small process that imports what every worker needs, runs nothing of it, and forks workers on
request.

Importing a backend takes over ten seconds and hundreds of megabytes; a fork takes milliseconds and
shares the memory. It is safe only as long as nothing was run: a backend starts its threads with its
first operation, and threads do not survive a fork.

Its control socket carries requests `{"worker": 3, "environment": {...}}`, each with the worker's
end of a socket as a passed file descriptor, and brings back `{"worker": 3, "pid": 77}` and
`{"pid": 77, "status": -9}` (the negative of a signal, as `subprocess` has it).
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
from assay.search.workers.worker import serve

_PR_SET_PDEATHSIG = 1
_LARGEST_REQUEST_BYTES = 1 << 16


def main() -> None:
    """Run a nursery:
    `python -m assay.search.workers.fork_server CONTROL_FD PRELOAD TRAINER ARGUMENTS`.

    PRELOAD and TRAINER are `package.module:name`; ARGUMENTS is a JSON object of the trainer's
    keyword arguments.
    """
    control_fd, preload, trainer, arguments = sys.argv[1:]
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(control_fd))
    _find(preload)()
    send_message(control, {"ready": os.getpid()})
    _ForkServer(control, functools.partial(_find(trainer), **json.loads(arguments))).run()


class _ForkServer:
    def __init__(self, control: socket.socket, make_trainer: Callable[[], Any]) -> None:
        self._control = control
        self._make_trainer = make_trainer
        self._children: set[int] = set()
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_writer, False)
        signal.set_wakeup_fd(self._wake_writer)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        """Fork and bury children until the supervisor hangs up; then take them all along."""
        while True:
            readable, _, _ = select.select([self._control.fileno(), self._wake_reader], [], [])
            if self._wake_reader in readable:
                os.read(self._wake_reader, 4096)
                self._reap()
            if self._control.fileno() in readable and not self._take_request():
                break
        for child in self._children:
            os.kill(child, signal.SIGKILL)
        os._exit(0)

    def _take_request(self) -> bool:
        content, descriptors, _, _ = socket.recv_fds(self._control, _LARGEST_REQUEST_BYTES, 1)
        if not content:
            return False
        request = json.loads(content)
        pid = os.fork()
        if pid == 0:
            self._become_worker(socket.socket(fileno=descriptors[0]), request["environment"])
        os.close(descriptors[0])
        self._children.add(pid)
        self._say({"worker": request["worker"], "pid": pid})
        return True

    def _become_worker(self, connection: socket.socket, environment: Mapping[str, str]) -> None:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.close()
            os.environ.update(environment)
            serve(connection, self._make_trainer)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            # Not sys.exit: what the nursery registered to run at its exit is not the worker's to
            # run.
            sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._children.discard(pid)
                self._say({"pid": pid, "status": os.waitstatus_to_exitcode(status)})

    def _say(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the supervisor has gone: the next read says so
            send_message(self._control, message)


def _find(reference: str) -> Callable[..., Any]:
    module, _, name = reference.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def _die_with_parent() -> None:
    """Ask Linux to end this process with its parent: while it imports it can't watch its socket."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
