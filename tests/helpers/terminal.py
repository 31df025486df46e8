"""A process in a pseudo-terminal, at which a test types."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pexpect

_POLL_SECONDS = 0.02


class ShellTerminal(pexpect.spawn):  # type: ignore[misc]  # pexpect has no types
    """An interactive process in a pseudo-terminal.

    Args:
        command: the words of the command.
        folder: where it runs.
        environment: its environment variables.
    """

    def __init__(self, command: Sequence[str], folder: Path, environment: dict[str, str]) -> None:
        super().__init__(
            command[0],
            list(command[1:]),
            cwd=str(folder),
            env=environment,
            encoding="utf-8",
            codec_errors="replace",
        )
        self.logfile_read = io.StringIO()

    @property
    def shown(self) -> str:
        """All that was shown."""
        return self.logfile_read.getvalue()

    def wait_until(self, condition: Callable[[], bool], seconds: float = 20.0) -> bool:
        """Read what is shown until a condition holds; return whether it does in time."""
        give_up_at = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > give_up_at:
                return False
            self.settle(_POLL_SECONDS)
        return True

    def settle(self, seconds: float = 0.15) -> None:
        """Read until nothing has been shown for a while, or the process has ended."""
        while self.expect([".+", pexpect.TIMEOUT, pexpect.EOF], timeout=seconds) == 0:
            pass
        if not self.isalive():
            time.sleep(seconds)
