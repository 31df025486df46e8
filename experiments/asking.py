"""What is asked, by the command line or in Python, put into the objects that a sweep and a run take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from experiments.catalog import load
from experiments.durations import read_seconds
from experiments.enqueue import check_configurations, read_configurations
from experiments.execution_request import ExecutionRequest
from experiments.experiment import Experiment, read
from experiments.fusing import read_fuse
from experiments.sweep_result import SweepRequest
from models.errors import RequestError
from models.settings import Settings
from search.plan import Tolerance

Enqueued = Sequence[Mapping[str, Any]] | str | Path
"""Configurations to try first: themselves, or the path of a JSON file that lists them."""


class _Limits(Settings):
    """What click checks on the command line and nobody would check of a Python call."""

    workers: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=0)
    max_failures: int = Field(default=5, ge=1)
    retries: int = Field(default=1, ge=0)


def ask_experiment(
    experiment: str | Path, values: Mapping[str, Any] | None = None, epochs: int | None = None
) -> Experiment:
    """Return the experiment of a name of the catalogue or of a file, with these values fixed.

    Args:
        experiment: a name of the catalogue or the path of a TOML file; a `Path` is always the latter.
        values: hyperparameters to fix, searched or not, by name.
        epochs: epochs of a trial, if not those of the file.

    Raises:
        RequestError: there is no such experiment, its file is wrong, or a value can't be.
    """
    if not isinstance(experiment, str | Path):
        raise RequestError(f"an experiment is named by its text or its Path; received {experiment!r}.")
    if values is not None and not isinstance(values, Mapping):
        raise RequestError(f"set takes values by name, such as {{'hidden_units': 100}}; received {values!r}.")
    found = read(experiment.expanduser()) if isinstance(experiment, Path) else load(experiment)
    fixed = {name: plain(value) for name, value in (values or {}).items()}
    return found.fixing(fixed if epochs is None else {**fixed, "epochs": epochs})


def ask_sweep(
    experiment: Experiment,
    *,
    study: str | None,
    workers: int | None,
    seed: int | None,
    execution: Mapping[str, Any],
    timeout: str | float | None,
    tolerance: Mapping[str, Any],
    enqueue: Enqueued | None,
    fuse: object = None,
    checkpoint: bool = False,
) -> SweepRequest:
    """Return what is asked of a sweep beside its experiment.

    Raises:
        RequestError: a value that can't be.
    """
    limits = check_limits(workers=workers, seed=seed)
    return SweepRequest(
        study=study,
        workers=limits.workers,
        seed=limits.seed,
        execution=ask_execution(execution),
        fuse=read_fuse(fuse),
        timeout_seconds=None if timeout is None else read_seconds(timeout, "timeout"),
        tolerance=ask_tolerance(**tolerance),
        checkpoint=checkpoint,
        enqueued=_enqueued(enqueue, experiment),
    )


def ask_execution(given: Mapping[str, Any]) -> ExecutionRequest:
    """Return what is asked of execution, by the names of the options; what is None is not asked.

    Raises:
        RequestError: a value that can't be.
    """
    asked = {name: plain(value) for name, value in given.items() if value is not None}
    return ExecutionRequest.read(asked, "the request's")


def ask_tolerance(*, max_failures: int = 5, retries: int = 1, trial_timeout: str | float | None = None) -> Tolerance:
    """Return what a search puts up with, by the names of the options.

    Raises:
        RequestError: a value that can't be.
    """
    limits = check_limits(max_failures=max_failures, retries=retries)
    silence = None if trial_timeout is None else read_seconds(trial_timeout, "trial_timeout")
    return Tolerance(limits.max_failures, limits.retries, silence)


def check_limits(**limits: int | None) -> _Limits:
    """Return those of `workers`, `seed`, `max_failures` and `retries` that are given, seen to be numbers.

    Raises:
        RequestError: one of them is none, or too small.
    """
    return _Limits.read(limits, "the request's")


def plain(value: Any) -> Any:
    """Return a scalar of NumPy, such as a DataFrame's cells are, as Python's own; anything else as it is."""
    import numpy as np  # here, because a check of the rest need not wait for it

    return value.item() if isinstance(value, np.generic) else value


def _enqueued(enqueue: Enqueued | None, experiment: Experiment) -> Sequence[Mapping[str, Any]]:
    if enqueue is None:
        return ()
    if isinstance(enqueue, str | Path):
        return read_configurations(enqueue, experiment)
    if isinstance(enqueue, Mapping) or not isinstance(enqueue, Sequence):
        raise RequestError(f"enqueue takes a list of configurations, or a file's path; received {enqueue!r}.")
    items = [
        {name: plain(value) for name, value in item.items()} if isinstance(item, Mapping) else item for item in enqueue
    ]
    return check_configurations(items, experiment, "enqueue")
