"""What goes wrong, by whose fault."""

from __future__ import annotations


class RequestError(ValueError):
    """The request was wrong: its message says the rule, then the value received, then what to do.

    Always the user's to mend. The command line prints the message as one line and exits with 2.
    """


# Why a search stops before it is done, when the request was right.


class SearchError(Exception):
    """The work failed: too many trials in a row, or workers that do not start. Exit code 1.

    A trial that failed is no exception at all: it is recorded, and the search goes on.

    Args:
        message: what went wrong and what to do.
        exit_code: another one, if somebody asked to stop meanwhile.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class OutOfMemory(SearchError):
    """Memory ran out where there was no trial to fail of it."""


class WorkerBug(Exception):
    """Assay's own code went wrong where a trial was trained; the message is the whole traceback.
    Exit code 1.

    The trial is not to blame: it is recorded as interrupted, and tried again by whoever takes the
    study up.
    """


# Whether something failed because memory, the machine's or a card's, ran out.


_TYPES = (
    "ResourceExhaustedError",
    "OutOfMemoryError",
)  # of TensorFlow and of torch, by name: no backend is imported
_WORDS = (
    "RESOURCE_EXHAUSTED",  # XLA, whatever type JAX gives it
    "CUDA_ERROR_OUT_OF_MEMORY",  # the driver
    "DefaultCPUAllocator: can't allocate memory",  # torch on the processor
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception, or one that it was raised from, says that memory could not be
    had.
    """
    cause: BaseException | None = error
    while cause is not None:
        # NumPy's ArrayMemoryError is a MemoryError too.
        if isinstance(cause, MemoryError) or type(cause).__name__ in _TYPES:
            return True
        if any(words in str(cause) for words in _WORDS):
            return True
        cause = cause.__cause__
    return False
