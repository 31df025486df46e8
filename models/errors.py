"""Exceptions and their exit codes; recognising exhausted memory.

    AssayError                  every exception that Assay raises on purpose
    |- RequestError        2    the request is wrong, and the user can correct it
    |  `- DamagedFile      2    a file or a store has content that Assay did not write
    |- SearchError         1    the search cannot go on; another code after a stop signal
    |  `- OutOfMemory      1    memory ran out while there was no trial to fail
    `- WorkerBug           1    Assay's own code failed in a worker; shows its traceback

A trial that fails raises none of them: it is recorded, and the search continues. Any other
exception in the supervising process is a bug and shows its traceback.
"""

from __future__ import annotations


class AssayError(Exception):
    """Base of all exceptions that Assay raises on purpose.

    Attributes:
        exit_code: with which the command line exits.
    """

    exit_code: int = 1


# A ValueError too, because Pydantic passes on only a ValueError that a validator raises.
class RequestError(AssayError, ValueError):
    """The request is wrong, and the user can correct it.

    The message is one line: the rule, the value received, what to do. The command line prints it
    without a traceback.

    Example:
        >>> raise RequestError("epochs must be 1 or more: received 0; set it to 1 or more.")
        Traceback (most recent call last):
        RequestError: epochs must be 1 or more: received 0; set it to 1 or more.
    """

    exit_code = 2


class DamagedFile(RequestError):
    """A file or a store has content that Assay did not write, or is a link or a pipe."""


class SearchError(AssayError):
    """The search cannot go on although the request was right.

    For example, too many trials failed in a row, or workers do not start.

    Args:
        message: what failed and what to do.
        exit_code: 1, or that of a stop signal which arrived before the failure.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class OutOfMemory(SearchError):
    """Memory ran out while there was no trial to fail."""


class WorkerBug(AssayError):
    """Assay's own code failed in a worker, or in the process that prepares data.

    The message is the traceback of that process. A trial is recorded as interrupted, because it is
    not the cause, and the next sweep of the study redoes it.
    """


# Exhausted memory
# ----------------
# Backends raise their own types for it, so it is recognised by type name and by message. Only
# names are compared: no backend may be imported here.

_TYPE_NAMES = (
    "ResourceExhaustedError",  # TensorFlow
    "OutOfMemoryError",  # torch
)
_MESSAGE_PARTS = (
    "RESOURCE_EXHAUSTED",  # XLA; JAX wraps it in various types
    "CUDA_ERROR_OUT_OF_MEMORY",  # the CUDA driver
    "DefaultCPUAllocator: can't allocate memory",  # torch on the CPU
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, on machine or GPU.

    Args:
        error: an exception; the exceptions that it was raised from are examined too.
    """
    cause: BaseException | None = error
    while cause is not None:
        # NumPy's ArrayMemoryError is a MemoryError too.
        if isinstance(cause, MemoryError) or type(cause).__name__ in _TYPE_NAMES:
            return True
        if any(part in str(cause) for part in _MESSAGE_PARTS):
            return True
        cause = cause.__cause__
    return False
