"""What is asked of execution: on what trials train, how exactly, and with how much of it."""

from __future__ import annotations

from pydantic import Field

from models.settings import Settings


class ExecutionRequest(Settings):
    """What is asked of execution; None leaves a thing to `Execution.choose`.

    Names are checked there, where it is known what goes with what.
    """

    backend: str | None = None
    device: str | None = None
    precision: str = "float32"
    xla: str = "auto"
    gpu_memory: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Of each worker: up to 1 a fraction of its card, above that MB."""
