"""Chaos tests: sweeps that are killed or run out of resources.

`make chaos` runs them, and checks the stores afterwards. The supervisor, the worker processes,
SQLite, MLflow and the signals are real. In most cases the training is a stub that takes
milliseconds.
"""
