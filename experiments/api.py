"""`sweep` and `run` for notebooks and scripts: the command line's, with DataFrames for an
answer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.experiments.config.request import (
    Enqueued,
    check_limits,
    load_experiment,
    parse_execution_request,
    parse_failure_policy,
    parse_sweep_request,
)
from assay.experiments.console.bar import BarDisplay, SilentDisplay, import_tqdm
from assay.experiments.results.load import read_study
from assay.experiments.results.study import StudyResult
from assay.experiments.run import single
from assay.experiments.run import sweep as sweeping
from assay.experiments.run.progress import Recording
from assay.experiments.workspace import StorePaths
from assay.models.errors import SearchError

if TYPE_CHECKING:
    import pandas as pd


_INTERRUPTED, _TERMINATED = 130, 143

import_tqdm()  # before Optuna and MLflow import it, and warn


@dataclass(frozen=True)
class RunOutcome:
    """What one training gave.

    Attributes:
        params: every hyperparameter by name.
        metrics: those of the last epoch, then the costs (seconds, bytes, number of weights).
        run_id: of the run in MLflow; None if MLflow has not taken it.
        epochs: one row an epoch; columns epoch, the metrics of every epoch, seconds.
    """

    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    run_id: str | None
    epochs: pd.DataFrame


def sweep(
    experiment: str | Path,
    *,
    trials: int | None = None,
    epochs: int | None = None,
    timeout: str | float | None = None,
    workers: int | None = None,
    sampler: str | None = None,
    pruner: str | None = None,
    seed: int | None = None,
    study: str | None = None,
    set: Mapping[str, Any] | None = None,
    enqueue: Enqueued | None = None,
    backend: str | None = None,
    device: str | None = None,
    precision: str = "float32",
    xla: str = "auto",
    gpu_memory: float | None = None,
    max_failures: int = 5,
    retries: int = 1,
    trial_timeout: str | float | None = None,
    fuse: str | int = "auto",
    checkpoint: bool = False,
    home: str | Path | None = None,
    data_dir: str | Path | None = None,
    storage: str | None = None,
    tracking_uri: str | None = None,
    progress: bool = True,
) -> StudyResult:
    """Search an experiment's space, every trial in MLflow; asked again, go on where it stopped.

    Args:
        experiment: a name of the catalogue or the path of a TOML file; a `Path` is always the
            latter.
        trials: complete or pruned trials that make the study done; None: the file's.
        epochs: epochs of a trial; None: the file's.
        timeout: start no trial after this time, in seconds or as "90s", "10m", "1h30m".
        workers: trials at a time; None: one a GPU, or one a core.
        sampler: what is tried next; None: the file's.
        pruner: what is stopped early; None: the file's.
        seed: where every seed follows from; None: the study's, or 0.
        study: name of the study; None: the experiment's.
        set: hyperparameters to fix, searched or not, by name.
        enqueue: configurations to try first, or the path of a JSON file that lists them.
        backend: tensorflow, jax or torch; None: KERAS_BACKEND, or tensorflow.
        device: cpu, gpu (all cards) or gpu:N; None: gpu where the backend can use one, else cpu.
        precision: float32, mixed_bfloat16 or mixed_float16.
        xla: on, off, or auto: as Keras chooses.
        gpu_memory: that each worker may take of its card, in MB, or up to 1 as a fraction; None: as
            needed, or an equal share where several train on one card.
        max_failures: failed trials in a row that end it.
        retries: how many more attempts a configuration gets whose worker died.
        trial_timeout: a trial has failed whose worker gives no sign of life for so long: no epoch,
            say; None: never.
        checkpoint: keep every trial after each epoch, so that an interrupted one goes on from
            there, not from zero.
        fuse: how many trials of one signature a worker trains together, on JAX; "off"; "auto":
            where it is faster.
        home: folder of everything that running produces; None: ASSAY_HOME, or ./mlruns.
        data_dir: where data sets lie as NAME.npz; None: ASSAY_DATA_DIR, or the Keras cache.
        storage: Optuna's storage, a URL; None: ASSAY_STORAGE, or SQLite in home.
        tracking_uri: MLflow's store; None: MLFLOW_TRACKING_URI, or SQLite in home.
        progress: draw a bar, on standard error where there is no notebook. Nothing else is printed.

    Returns:
        The whole study, with what earlier sweeps found.

    Raises:
        RequestError: the request can't be met as it stands; nothing was written.
        SearchError: the search failed: trials only fail, or workers can't be had. What was tried is
            recorded.
        KeyboardInterrupt: after an interrupt: `load_study` has what was recorded. A second one ends
            the process.
    """
    asked = load_experiment(experiment, set, epochs).searching(
        trials=trials, sampler=sampler, pruner=pruner
    )
    request = parse_sweep_request(
        asked,
        study=study,
        workers=workers,
        seed=seed,
        execution={
            "backend": backend,
            "device": device,
            "precision": precision,
            "xla": xla,
            "gpu_memory": gpu_memory,
        },
        timeout=timeout,
        failure_policy={
            "max_failures": max_failures,
            "retries": retries,
            "trial_timeout": trial_timeout,
        },
        enqueue=enqueue,
        fuse=fuse,
        checkpoint=checkpoint,
    )
    store_paths = StorePaths.choose(home, data_dir, storage, tracking_uri)
    found = sweeping.sweep(
        asked, request, store_paths, BarDisplay() if progress else SilentDisplay()
    )
    _raise_for(found.exit_code, found.failure)
    known = read_study(found.study, store_paths, found.importance)
    return dataclasses.replace(known, seconds=round(found.seconds, 3))


def run(
    experiment: str | Path,
    *,
    epochs: int | None = None,
    seed: int = 0,
    set: Mapping[str, Any] | None = None,
    backend: str | None = None,
    device: str | None = None,
    precision: str = "float32",
    xla: str = "auto",
    gpu_memory: float | None = None,
    trial_timeout: str | float | None = None,
    home: str | Path | None = None,
    data_dir: str | Path | None = None,
    storage: str | None = None,
    tracking_uri: str | None = None,
    progress: bool = True,
) -> RunOutcome:
    """Train once, tracked: the experiment's first baseline, or its model's defaults, changed by
    `set`.

    Args:
        experiment: a name of the catalogue or the path of a TOML file; a `Path` is always the
            latter.
        epochs: epochs to train; None: the file's.
        seed: where the training's seed follows from.
        set: hyperparameters to fix, by name.
        backend: tensorflow, jax or torch; None: KERAS_BACKEND, or tensorflow.
        device: cpu, gpu (all cards) or gpu:N; None: gpu where the backend can use one, else cpu.
        precision: float32, mixed_bfloat16 or mixed_float16.
        xla: on, off, or auto: as Keras chooses.
        gpu_memory: that the worker may take of its card, in MB, or up to 1 as a fraction; None: as
            needed.
        trial_timeout: it has failed when its worker gives no sign of life for so long: no epoch,
            say; None: never.
        home: folder of everything that running produces; None: ASSAY_HOME, or ./mlruns.
        data_dir: where data sets lie as NAME.npz; None: ASSAY_DATA_DIR, or the Keras cache.
        storage: Optuna's storage, a URL, of which a single run needs nothing.
        tracking_uri: MLflow's store; None: MLFLOW_TRACKING_URI, or SQLite in home.
        progress: draw a bar, on standard error where there is no notebook. Nothing else is printed.

    Raises:
        RequestError: the request can't be met as it stands; nothing was written.
        SearchError: the training failed; it is recorded.
        KeyboardInterrupt: after an interrupt. A second one ends the process.
    """
    asked = load_experiment(experiment, set, epochs)
    check_limits(seed=seed)
    execution = parse_execution_request(
        {
            "backend": backend,
            "device": device,
            "precision": precision,
            "xla": xla,
            "gpu_memory": gpu_memory,
        }
    )
    heard = Recording(BarDisplay("epoch") if progress else SilentDisplay())
    silence = parse_failure_policy(trial_timeout=trial_timeout).trial_timeout_seconds
    store_paths = StorePaths.choose(home, data_dir, storage, tracking_uri)
    result = single.run(asked, seed, execution, store_paths, heard, silence)
    _raise_for(result.exit_code, result.failure or f"{result.state}: {result.error}")
    return RunOutcome(dict(result.params), dict(result.metrics), result.run_id, heard.epochs())


def load_study(
    name: str,
    *,
    home: Path | str | None = None,
    storage: str | None = None,
    tracking_uri: str | None = None,
    importance: str | None = None,
) -> StudyResult:
    """Return what is known of a study. Nothing is written, and a sweep may be at work on it.

    A study that was run from another home is known as far as Optuna and MLflow know it: without
    epochs and costs.

    Args:
        name: the study's name.
        home: the folder of everything that running produces; None is ASSAY_HOME, or `./mlruns`.
        storage: Optuna's storage, a URL; None is ASSAY_STORAGE, or SQLite in home.
        tracking_uri: MLflow's store; None is MLFLOW_TRACKING_URI, or SQLite in home.
        importance: how what mattered is told: ped-anova, fanova or mdi; None is as the study's
            experiment has it.

    Raises:
        RequestError: there is no such study or importance, or a store can't be reached.
    """
    return read_study(name, StorePaths.choose(home, None, storage, tracking_uri), importance)


def _raise_for(exit_code: int, failure: str | None) -> None:
    """Raise what the command line tells by its exit code."""
    if exit_code == _INTERRUPTED:
        raise KeyboardInterrupt
    if exit_code == _TERMINATED:
        raise SystemExit(exit_code)
    if exit_code != 0:
        raise SearchError(failure or "the search failed.")
