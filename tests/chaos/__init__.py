"""Sweeps that are killed, starved and stopped, and what must hold afterwards: `make chaos`.

Everything is real (supervisor, worker processes, SQLite, MLflow, signals) but the training, which
takes milliseconds.
"""
