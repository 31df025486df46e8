"""Standard input, output and error of a process that was started without them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_DEVNULL = Path(os.devnull)
_STANDARD_ERROR = 2


def open_standard_descriptors() -> None:
    """Open /dev/null on each of the file descriptors 0 to 2 that is closed.

    Otherwise a file that is opened later, such as a journal, gets the number, and C code that
    prints a message writes into it.
    """
    while True:
        # The system gives the lowest number that is free.
        descriptor = os.open(_DEVNULL, os.O_RDWR)
        if descriptor > _STANDARD_ERROR:
            os.close(descriptor)
            return
        os.set_inheritable(descriptor, True)


def open_standard_streams() -> None:
    """Open the descriptors, and /dev/null for each of Python's streams that is None.

    Only for a process of our own: a caller's streams are the caller's.
    """
    open_standard_descriptors()
    # Python's `print` to a stream that is None goes to standard output. They stay open as long as
    # the process.
    if sys.stdin is None:
        sys.stdin = _DEVNULL.open()
    if sys.stdout is None:
        sys.stdout = _DEVNULL.open("w")
    if sys.stderr is None:
        sys.stderr = _DEVNULL.open("w")
