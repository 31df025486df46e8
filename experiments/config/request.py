"""What is asked, by the command line or in Python, put into the objects that a sweep and a run
take.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import Field

from assay.experiments.config.catalog import load
from assay.experiments.config.experiment import Experiment, read
from assay.experiments.formatting import read_seconds
from assay.models.errors import RequestError
from assay.models.settings import Settings
from assay.search.plan import FailurePolicy
from assay.search.space import Configuration

# What is asked of execution: on what trials train, how exactly, and with how much of it.


FuseOption: TypeAlias = Literal["auto"] | int
"""What is asked for: so many trials together; 0 for none, and each trial's batches in an order of
its own; or auto.
"""


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


@dataclass(frozen=True)
class SweepRequest:
    """What is asked of a sweep beside the experiment itself; None leaves a thing to the experiment
    or to defaults.
    """

    study: str | None = None
    workers: int | None = None
    seed: int | None = None
    execution: ExecutionRequest = field(default_factory=ExecutionRequest)
    fuse: FuseOption = "auto"
    timeout_seconds: float | None = None
    failure_policy: FailurePolicy = field(default_factory=FailurePolicy)
    checkpoint: bool = False
    enqueued: Sequence[Configuration] = ()


def parse_fuse(value: object) -> FuseOption:
    """Return what is asked for by "auto", "off" or a number, as text or not; None is auto.

    Raises:
        RequestError: it is none of them.
    """
    text = "auto" if value is None else str(value)
    if text == "auto":
        return "auto"
    if text == "off":
        return 0
    if not text.isdecimal() or int(text) < 1:
        raise RequestError(
            f"fuse must be auto, off, or how many trials to train together, 1 or more; received {value!r}."
        )
    return int(text)


# A user's list of configurations to try first.


def read_configurations(file: str | Path, experiment: Experiment) -> list[Configuration]:
    """Read a JSON file that holds a list of configurations of the experiment's space.

    Names that a configuration leaves out are the sampler's to fill in.

    Raises:
        RequestError: there is no such file, it holds something else, or a name or value is outside
            the space.
    """
    try:
        content = json.loads(
            Path(file).expanduser().read_text(encoding="utf-8"), object_pairs_hook=_each_once
        )
    except FileNotFoundError:
        raise RequestError(f"--enqueue: there is no file {file}.") from None
    except RecursionError:
        raise RequestError(
            f"--enqueue: {file} can't be read as JSON: it is nested too deeply."
        ) from None
    except (OSError, ValueError) as error:
        raise RequestError(f"--enqueue: {file} can't be read as JSON: {error}.") from None
    return check_configurations(content, experiment, f"--enqueue: {file}")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, which would keep the last of several values of one name and not say
    so.
    """
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} stands there more than once")
    return dict(pairs)


def check_configurations(content: Any, experiment: Experiment, where: str) -> list[Configuration]:
    """Return a list of configurations of the experiment's space; `where` names the list in an
    error.

    Raises:
        RequestError: it is something else, or a name or value is outside the space.
    """
    if not isinstance(content, list) or not all(
        isinstance(item, dict) and item for item in content
    ):
        raise RequestError(
            f'{where} must hold a list of configurations such as [{{"hidden_units": 100}}]; '
            f"received {json.dumps(content, default=repr)[:80]}."
        )
    configurations = [
        experiment.configuration(item, f"--enqueue configuration {number}")
        for number, item in enumerate(content)
    ]
    for configuration in configurations:
        experiment.settings(configuration)
    return configurations


Enqueued = Sequence[Mapping[str, Any]] | str | Path
"""Configurations to try first: themselves, or the path of a JSON file that lists them."""


class _Limits(Settings):
    """What click checks on the command line and nobody would check of a Python call."""

    workers: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=0)
    max_failures: int = Field(default=5, ge=1)
    retries: int = Field(default=1, ge=0)


def load_experiment(
    experiment: str | Path, values: Mapping[str, Any] | None = None, epochs: int | None = None
) -> Experiment:
    """Return the experiment of a name of the catalogue or of a file, with these values fixed.

    Args:
        experiment: a name of the catalogue or the path of a TOML file; a `Path` is always the
            latter.
        values: hyperparameters to fix, searched or not, by name.
        epochs: epochs of a trial, if not those of the file.

    Raises:
        RequestError: there is no such experiment, its file is wrong, or a value can't be.
    """
    if not isinstance(experiment, str | Path):
        raise RequestError(
            f"an experiment is named by its text or its Path; received {experiment!r}."
        )
    if values is not None and not isinstance(values, Mapping):
        raise RequestError(
            f"set takes values by name, such as {{'hidden_units': 100}}; received {values!r}."
        )
    found = read(experiment.expanduser()) if isinstance(experiment, Path) else load(experiment)
    fixed = {name: plain(value) for name, value in (values or {}).items()}
    return found.fixing(fixed if epochs is None else {**fixed, "epochs": epochs})


def parse_sweep_request(
    experiment: Experiment,
    *,
    study: str | None,
    workers: int | None,
    seed: int | None,
    execution: Mapping[str, Any],
    timeout: str | float | None,
    failure_policy: Mapping[str, Any],
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
        execution=parse_execution_request(execution),
        fuse=parse_fuse(fuse),
        timeout_seconds=None if timeout is None else read_seconds(timeout, "timeout"),
        failure_policy=parse_failure_policy(**failure_policy),
        checkpoint=checkpoint,
        enqueued=_enqueued(enqueue, experiment),
    )


def parse_execution_request(given: Mapping[str, Any]) -> ExecutionRequest:
    """Return what is asked of execution, by the names of the options; what is None is not asked.

    Raises:
        RequestError: a value that can't be.
    """
    asked = {name: plain(value) for name, value in given.items() if value is not None}
    return ExecutionRequest.read(asked, "the request's")


def parse_failure_policy(
    *, max_failures: int = 5, retries: int = 1, trial_timeout: str | float | None = None
) -> FailurePolicy:
    """Return what a search puts up with, by the names of the options.

    Raises:
        RequestError: a value that can't be.
    """
    limits = check_limits(max_failures=max_failures, retries=retries)
    silence = None if trial_timeout is None else read_seconds(trial_timeout, "trial_timeout")
    return FailurePolicy(limits.max_failures, limits.retries, silence)


def check_limits(**limits: int | None) -> _Limits:
    """Return those of `workers`, `seed`, `max_failures` and `retries` that are given, seen to be
    numbers.

    Raises:
        RequestError: one of them is none, or too small.
    """
    return _Limits.read(limits, "the request's")


def plain(value: Any) -> Any:
    """Return a scalar of NumPy, such as a DataFrame's cells are, as Python's own; anything else as
    it is.
    """
    import numpy as np  # here, because a check of the rest need not wait for it

    return value.item() if isinstance(value, np.generic) else value


def _enqueued(enqueue: Enqueued | None, experiment: Experiment) -> Sequence[Mapping[str, Any]]:
    if enqueue is None:
        return ()
    if isinstance(enqueue, str | Path):
        return read_configurations(enqueue, experiment)
    if isinstance(enqueue, Mapping) or not isinstance(enqueue, Sequence):
        raise RequestError(
            f"enqueue takes a list of configurations, or a file's path; received {enqueue!r}."
        )
    items = [
        {name: plain(value) for name, value in item.items()} if isinstance(item, Mapping) else item
        for item in enqueue
    ]
    return check_configurations(items, experiment, "enqueue")
