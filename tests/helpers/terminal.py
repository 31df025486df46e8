"""A shell in a pseudo-terminal, at which a test types."""

from __future__ import annotations

import os
import pty
import select
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_POLL_SECONDS = 0.02


class ShellTerminal:
    """An interactive process in a pseudo-terminal.

    Args:
        command: the words of the command.
        folder: where it runs.
        environment: its environment variables.
    """

    def __init__(self, command: Sequence[str], folder: Path, environment: dict[str, str]) -> None:
        self.shown = ""
        self._process, self._descriptor = pty.fork()
        if self._process == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._descriptor)

    def type(self, text: str) -> None:
        """Type a text; a carriage return is the Enter key."""
        os.write(self._descriptor, text.encode())

    def wait_until(self, condition: Callable[[], bool], seconds: float = 20.0) -> bool:
        """Read what is shown until a condition holds; return whether it does in time."""
        give_up_at = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > give_up_at:
                return False
            self._read(_POLL_SECONDS)
        return True

    def settle(self, seconds: float = 0.15) -> None:
        """Read until nothing has been shown for a while."""
        while self._read(seconds):
            pass

    def _read(self, seconds: float) -> bool:
        if not select.select([self._descriptor], [], [], seconds)[0]:
            return False
        try:
            self.shown += os.read(self._descriptor, 1 << 16).decode(errors="replace")
        except OSError:  # the process has ended
            time.sleep(seconds)
            return False
        return True
