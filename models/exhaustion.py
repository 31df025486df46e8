"""Whether something failed because memory, the machine's or a card's, ran out."""

from __future__ import annotations

_TYPES = ("ResourceExhaustedError", "OutOfMemoryError")  # of TensorFlow and of torch, by name: no backend is imported
_WORDS = (
    "RESOURCE_EXHAUSTED",  # XLA, whatever type JAX gives it
    "CUDA_ERROR_OUT_OF_MEMORY",  # the driver
    "DefaultCPUAllocator: can't allocate memory",  # torch on the processor
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception, or one that it was raised from, says that memory could not be had."""
    cause: BaseException | None = error
    while cause is not None:
        # NumPy's ArrayMemoryError is a MemoryError too.
        if isinstance(cause, MemoryError) or type(cause).__name__ in _TYPES:
            return True
        if any(words in str(cause) for words in _WORDS):
            return True
        cause = cause.__cause__
    return False
