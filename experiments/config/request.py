"""Requests: what the command line and the Python functions ask for, validated.

Both hand their options to `read_sweep` or `read_run`. What they return is all that a sweep or a
single training is asked with.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from assay.experiments.config.catalog import resolve_experiment
from assay.experiments.config.experiment import Experiment, read_experiment
from assay.experiments.config.options import (
    Configurations,
    FinalizeOptions,
    RunOptions,
    SweepOptions,
    as_plain,
    read_options,
    show_value,
)
from assay.experiments.config.text_file import read_utf8
from assay.experiments.config.toml_text import check_integers
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError
from assay.search.failure_policy import FailurePolicy
from assay.search.space import Configuration
from assay.search.system.files import check_current_folder, expand_path

FuseOption: TypeAlias = Literal["auto"] | int
"""How many trials a worker trains together: a number; 0 for one at a time, each with its own batch
order; or "auto".
"""


_MOST_DIGITS = 9  # of a number of trials; Python reads no text of thousands of digits

MOST_ENQUEUED = 100_000
"""Most configurations that can be tried first; no search trains more."""


@dataclass(frozen=True)
class ExecutionRequest:
    """What trials are to train on; None leaves a choice to `Execution.choose`.

    Names are validated there, where it is known which of them go together.

    Attributes:
        backend: Keras backend.
        device: "cpu", "gpu" or "gpu:N".
        precision: Keras dtype policy.
        xla: "on", "off" or "auto".
        gpu_memory: of each worker, in MB; up to 1, a fraction of its GPU.
        deterministic: whether operations are deterministic, and trials train one at a time.
        threads: of each worker, as a recorded run had them.
    """

    backend: str | None = None
    device: str | None = None
    precision: str = "float32"
    xla: str = "auto"
    gpu_memory: float | None = None
    deterministic: bool = False
    threads: int | None = None


@dataclass(frozen=True)
class SweepRequest:
    """What a sweep is asked for beside its experiment; None stands for the default.

    Attributes:
        study: name of the study.
        workers: number of trials that train at the same time.
        seed: random seed of the study.
        execution: what trials train on.
        fuse: how many trials a worker trains together.
        timeout_seconds: start no trial later than this after the first.
        failure_policy: what is retried, and when the search is given up.
        checkpoint: whether every trial is saved after each epoch.
        enqueued: configurations to try first.
        command: as it was given, masked; empty if it is unknown.
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
    command: str = ""


@dataclass(frozen=True)
class RepeatedTraining:
    """What a single training takes over from a recorded one.

    Attributes:
        origin: where its configuration comes from, such as "like RUN_ID".
        tags: of its run.
        seed: of the training itself, not one from which it is derived; None: derived as ever.
        order_seed: seed of the batch order, if trials shared it.
        lanes: number of trials that trained together in each epoch; empty if it trained alone.
        last_epoch: the epoch after which it is stopped, as a pruned trial was; None: the last one.
        notes: returns what the user may not expect of a `Session`, one line each.
    """

    origin: str
    tags: Mapping[str, str]
    seed: int | None = None
    order_seed: int | None = None
    lanes: tuple[int, ...] = ()
    last_epoch: int | None = None
    notes: Callable[[Any], Iterable[str]] = lambda session: ()


@dataclass(frozen=True)
class RunRequest:
    """What a single training is asked for beside its experiment.

    Attributes:
        seed: random seed, from which that of the training is derived.
        execution: what it trains on.
        trial_timeout_seconds: it fails if its worker does not respond for longer; None: never.
        command: as it was given, masked; empty if it is unknown.
        repeated: the recorded training that it repeats; None if it repeats none.
    """

    seed: int = 0
    execution: ExecutionRequest = field(default_factory=ExecutionRequest)
    trial_timeout_seconds: float | None = None
    command: str = ""
    repeated: RepeatedTraining | None = None


@dataclass(frozen=True)
class FinalizeRequest:
    """What a finalize is asked for beside its study.

    Attributes:
        top: number of best configurations.
        seeds: number of seeds of each.
        splits: whether each seed has a validation split of its own.
        gap: a difference that matters: in points of accuracy, or in the unit of the targets.
        register: whether the leader is registered in MLflow.
        workers: number of trainings at the same time; None for the default.
        execution: what they train on; what is None is as in the study.
        precision: Keras dtype policy; None: that of the study.
        failure_policy: what is retried.
        command: what was given, masked; empty if it is not recorded.
    """

    top: int = 3
    seeds: int = 5
    splits: bool = False
    gap: float | None = None
    register: bool = True
    workers: int | None = None
    execution: ExecutionRequest = field(default_factory=ExecutionRequest)
    precision: str | None = None
    failure_policy: FailurePolicy = field(default_factory=FailurePolicy)
    command: str = ""


def read_sweep(
    experiment: str | Path, given: Mapping[str, Any], spell: Callable[[str], str] = str
) -> tuple[Experiment, SweepRequest, StorePaths]:
    """Return everything that a sweep is asked with.

    Args:
        experiment: a name of the catalogue, or the path of a TOML file.
        given: values of `SweepOptions` by name; None counts as not given.
        spell: makes of an option's name what an error calls it, such as "--timeout".

    Raises:
        RequestError: there is no such experiment, or an option does not take its value.
    """
    options = read_options(SweepOptions, given, spell)
    chosen = load_experiment(experiment, options["set"], options["epochs"]).with_search(
        trials=options["trials"], sampler=options["sampler"], pruner=options["pruner"]
    )
    request = SweepRequest(
        study=options["study"],
        workers=options["workers"],
        seed=options["seed"],
        execution=read_execution(options),
        fuse=parse_fuse(options["fuse"]),
        timeout_seconds=options["timeout"],
        failure_policy=FailurePolicy(
            max_failures=options["max_failures"],
            retries=options["retries"],
            trial_timeout_seconds=options["trial_timeout"],
        ),
        checkpoint=options["checkpoint"],
        enqueued=_read_enqueued(options["enqueue"], chosen),
    )
    return chosen, request, choose_stores(options)


def read_run(
    experiment: str | Path, given: Mapping[str, Any], spell: Callable[[str], str] = str
) -> tuple[Experiment, RunRequest, StorePaths]:
    """Return everything that a single training is asked with; see `read_sweep`.

    Raises:
        RequestError: there is no such experiment, or an option does not take its value.
    """
    options = read_options(RunOptions, given, spell)
    chosen = load_experiment(experiment, options["set"], options["epochs"])
    request = RunRequest(options["seed"] or 0, read_execution(options), options["trial_timeout"])
    return chosen, request, choose_stores(options)


def read_finalize(
    given: Mapping[str, Any], spell: Callable[[str], str] = str
) -> tuple[FinalizeRequest, StorePaths]:
    """Return everything that a finalize is asked with, beside its study; see `read_sweep`.

    Raises:
        RequestError: an option does not take its value.
    """
    options = read_options(FinalizeOptions, given, spell)
    request = FinalizeRequest(
        top=options["top"],
        seeds=options["seeds"],
        splits=options["splits"],
        gap=options["gap"],
        register=options["register"],
        workers=options["workers"],
        execution=read_execution(options),
        precision=options["precision"],
        failure_policy=FailurePolicy(
            retries=options["retries"], trial_timeout_seconds=options["trial_timeout"]
        ),
    )
    return request, choose_stores(options)


def load_experiment(
    experiment: str | Path, values: Mapping[str, Any] | None = None, epochs: int | None = None
) -> Experiment:
    """Return an experiment, with some hyperparameters fixed.

    Args:
        experiment: a name of the catalogue or the path of a TOML file; a `Path` is always the
            latter.
        values: hyperparameters to fix, searched or not, by name.
        epochs: epochs of a trial; None: the experiment's.

    Raises:
        RequestError: there is no such experiment, its file is wrong, it can't have a value, or the
            current folder was removed.
    """
    check_current_folder()
    if not isinstance(experiment, str | Path):
        raise RequestError(
            f"an experiment is the name of one, or a Path to its file; received "
            f"{show_value(experiment)}."
        )
    found = (
        read_experiment(expand_path(experiment, "an experiment"))
        if isinstance(experiment, Path)
        else resolve_experiment(experiment)
    )
    fixed = {name: as_plain(value) for name, value in (values or {}).items()}
    return found.with_fixed(fixed, epochs)


def parse_fuse(value: object) -> FuseOption:
    """Read the value of --fuse; 0 stands for "off".

    Raises:
        RequestError: the value is none of "auto", "off" and a number from 1.
    """
    text = str(value)
    if text == "auto":
        return "auto"
    if text == "off":
        return 0
    if not text.isdecimal() or len(text) > _MOST_DIGITS or int(text) < 1:
        raise RequestError(
            f"fuse must be auto, off, or the number of trials to train together, 1 or more; "
            f"received {show_value(value)}."
        )
    return int(text)


def read_configurations(file: str | Path, experiment: Experiment) -> list[Configuration]:
    """Read a JSON file that holds a list of configurations of the experiment's space.

    Names that a configuration leaves out are the sampler's to fill in.

    Raises:
        RequestError: there is no such file, it holds something else, or a name or value is outside
            the space.
    """
    try:
        content = json.loads(
            read_utf8(expand_path(file, "--enqueue")),
            object_pairs_hook=_reject_repeated_names,
        )
        check_integers(content)
    except FileNotFoundError:
        raise RequestError(f"--enqueue: there is no file {file}.") from None
    except RecursionError:
        raise RequestError(
            f"--enqueue: {file} can't be read as JSON: it is nested too deeply."
        ) from None
    except (OSError, ValueError) as error:
        raise RequestError(f"--enqueue: {file} can't be read as JSON: {error}.") from None
    return check_configurations(content, experiment, f"--enqueue: {file}")


def _reject_repeated_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # json keeps the last of several values of one name, without a word.
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} is given more than once")
    return dict(pairs)


def check_configurations(content: Any, experiment: Experiment, where: str) -> list[Configuration]:
    """Return a list of configurations of the experiment's space.

    Args:
        content: the list.
        experiment: whose space they belong to.
        where: what an error calls the list.

    Raises:
        RequestError: it is something else, or a name or value is outside the space.
    """
    if not isinstance(content, list) or not all(
        isinstance(item, dict) and item and all(isinstance(name, str) for name in item)
        for item in content
    ):
        raise RequestError(
            f'{where} must hold a list of configurations such as [{{"hidden_units": 100}}]; '
            f"received {json.dumps(content, default=repr)[:80]}."
        )
    if len(content) > MOST_ENQUEUED:
        raise RequestError(
            f"{where} must hold at most {MOST_ENQUEUED:,} configurations; received "
            f"{len(content):,}: shorten it."
        )
    configurations = [
        experiment.check_configuration(item, f"--enqueue configuration {number}")
        for number, item in enumerate(content)
    ]
    for configuration in configurations:
        experiment.build_settings(configuration)
    return configurations


def _read_enqueued(
    enqueue: Configurations | None, experiment: Experiment
) -> Sequence[Configuration]:
    if enqueue is None:
        return ()
    if isinstance(enqueue, str | Path):
        return read_configurations(enqueue, experiment)
    items = [as_plain(item) for item in enqueue]
    return check_configurations(items, experiment, "enqueue")


def read_execution(
    options: Mapping[str, Any], recorded: ExecutionRequest | None = None
) -> ExecutionRequest:
    """Return what the options ask to train on.

    Args:
        options: values by name; what is missing or None was not given.
        recorded: takes the place of what was not given; None: the defaults.
    """
    base = ExecutionRequest() if recorded is None else recorded
    names = ("backend", "device", "precision", "xla", "gpu_memory", "deterministic")
    given = {name: options.get(name) for name in names}
    # A flag that was not given is False.
    return replace(base, **{name: value for name, value in given.items() if value})


def choose_stores(options: Mapping[str, Any]) -> StorePaths:
    """Return where the options say that data are read and results are written."""
    return StorePaths.choose(
        options["home"], options["data_dir"], options["storage"], options["tracking_uri"]
    )
