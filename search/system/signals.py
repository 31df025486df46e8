"""Requests to stop: Ctrl-C and SIGTERM."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Self

_ENDED_MESSAGE = b"\nassay: ended at once; nothing is lost, the same command goes on from here.\n"


class StopRequest:
    """Turns SIGINT and SIGTERM into a flag while it is entered.

    A second signal ends the process at once: the files on the disk are enough to go on from, and
    workers end with their supervisor.

    Attributes:
        signal: the signal that was received; None before one is.

    Example:
        >>> with StopRequest() as stop:
        ...     while not stop:
        ...         train_an_epoch()
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __enter__(self) -> Self:
        # Python allows signal handlers in the main thread alone; in another thread this does
        # nothing.
        is_main = threading.current_thread() is threading.main_thread()
        handled = (signal.SIGINT, signal.SIGTERM) if is_main else ()
        self._previous = {number: signal.signal(number, self._handle) for number in handled}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """128 plus the signal's number, as shells expect of a process that a signal ended."""
        return 128 + (self.signal or 0)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            os.write(2, _ENDED_MESSAGE)
            os._exit(128 + number)
        self.signal = signal.Signals(number)
