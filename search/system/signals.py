"""Being asked to stop, by Ctrl-C or by SIGTERM."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Self

_ENDED = b"\nassay: ended at once; nothing is lost, the same command goes on from here.\n"


class StopRequest:
    """While entered, turns SIGINT and SIGTERM into a flag that the supervisor looks at.

    A second signal ends the process at once: what is on the disk by then is enough to go on from,
    and workers end with their supervisor. Python hears signals in its main thread alone: in
    another, nothing is turned into anything.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __enter__(self) -> Self:
        heard = (
            (signal.SIGINT, signal.SIGTERM)
            if threading.current_thread() is threading.main_thread()
            else ()
        )
        self._before = {number: signal.signal(number, self._note) for number in heard}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """What a shell expects of a process that a signal ended: 128 and the signal's number."""
        return 128 + (self.signal or 0)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            os.write(2, _ENDED)
            os._exit(128 + number)
        self.signal = signal.Signals(number)
