"""Fixtures that simulate GPUs."""

from tests.helpers.gpus import two_gpus

__all__ = ["two_gpus"]
