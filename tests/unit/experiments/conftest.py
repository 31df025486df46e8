"""GPUs that only seem to be there."""

from tests.helpers.gpus import two_gpus

__all__ = ["two_gpus"]
