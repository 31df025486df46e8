"""Python functions: `sweep`, `run`, `finalize`, `compare`, `report`, `export` and the others.

They do what the commands do, and return objects with pandas DataFrames.
"""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from assay.experiments.config.given_command import mask_call
from assay.experiments.config.options import (
    FinalizeArguments,
    ReproduceArguments,
    RunArguments,
    StoreOptions,
    SweepArguments,
    check_argument_names,
    read_options,
    read_progress,
    show_value,
    with_arguments,
)
from assay.experiments.config.request import read_finalize, read_run, read_sweep
from assay.experiments.console.bar import BarDisplay, SilentDisplay
from assay.experiments.decision import finalize as finalizing
from assay.experiments.decision.comparison import compare_configurations
from assay.experiments.decision.comparison_table import to_frame
from assay.experiments.decision.load import load_finalizes
from assay.experiments.decision.sentences import to_full_record, to_study_record
from assay.experiments.export import export as exporting
from assay.experiments.export.export import ExportResult
from assay.experiments.results.load import read_study
from assay.experiments.results.study import StudyResult
from assay.experiments.run import repeat, single
from assay.experiments.run import sweep as sweeping
from assay.experiments.run.repeat import (
    ReproduceResult,
    check_one_source,
    read_like,
    read_reproduce,
)
from assay.experiments.run.result import RunResult, RunStatus
from assay.experiments.tracking.addresses import find_relocation
from assay.experiments.tracking.store import mlflow_settings
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError, SearchError
from assay.search.system.standard_streams import open_standard_descriptors

if TYPE_CHECKING:
    import pandas

    from assay.experiments.report.write import ReportResult

_INTERRUPTED, _TERMINATED = 130, 143


@with_arguments(SweepArguments)
def sweep(experiment: str | Path, **options: Unpack[SweepArguments]) -> StudyResult:
    """Search an experiment's space, and track every trial in MLflow.

    Called again, it resumes the study where it stopped.

    Example:
        >>> from assay import sweep
        >>> study = sweep("digits-mlp", trials=20)
        >>> study.best
        >>> study.trials.sort_values("val_accuracy")

    Args:
        experiment: a name of the catalogue or the path of a TOML file; a `Path` is always the
            latter.
        **options: see below.

    Returns:
        The whole study, with the trials of earlier sweeps.

    Raises:
        RequestError: the request can't be met; nothing was written.
        SearchError: the search failed: too many trials failed in a row, or workers can't be
            started. Trials that ended are recorded.
        KeyboardInterrupt: the user interrupted it; `load_study` returns what was recorded. A second
            interrupt ends the process.
    """
    open_standard_descriptors()
    check_argument_names("sweep", SweepArguments, options)
    chosen, request, store_paths = read_sweep(experiment, options)
    request = dataclasses.replace(request, command=mask_call("sweep", experiment, options))
    display = BarDisplay() if read_progress(options) else SilentDisplay()
    with mlflow_settings():
        result = sweeping.sweep(chosen, request, store_paths, display)
        _raise_failure(result.status)
        study = read_study(result.study, store_paths, chosen.search.importance)
    return dataclasses.replace(study, seconds=round(result.seconds, 3))


@with_arguments(RunArguments)
def run(experiment: str | Path | None = None, **options: Unpack[RunArguments]) -> RunResult:
    """Train once, and track it: the experiment's first baseline, or its model's defaults.

    Example:
        >>> from assay import run
        >>> run("digits-mlp", set={"hidden_units": 64}).metrics["val_accuracy"]
        >>> run(like=study.best["run_id"], set={"learning_rate": 0.01}).metrics["val_accuracy"]

    Args:
        experiment: a name of the catalogue or the path of a TOML file; a `Path` is always the
            latter. None: `like` names a run.
        **options: see below.

    Returns:
        The metrics, parameters and epochs, and the id of the MLflow run.

    Raises:
        RequestError: the request can't be met; nothing was written.
        SearchError: the training failed; it is recorded.
        KeyboardInterrupt: the user interrupted it. A second interrupt ends the process.
    """
    open_standard_descriptors()
    check_argument_names("run", RunArguments, options)
    like = options.get("like")
    check_one_source(experiment, like)
    display = BarDisplay("epoch") if read_progress(options) else SilentDisplay()
    with mlflow_settings():
        if experiment is not None:
            chosen, request, store_paths = read_run(experiment, options)
        else:
            assert like is not None
            chosen, request, store_paths = read_like(like, options)
        request = dataclasses.replace(request, command=mask_call("run", experiment, options))
        result = single.run(chosen, request, store_paths, display)
    _raise_failure(result.status, f"{result.state}: {result.error}")
    return result


@with_arguments(FinalizeArguments)
def finalize(study: str, **options: Unpack[FinalizeArguments]) -> StudyResult:
    """Train the best configurations of a study again on fresh seeds, and open the test set once.

    At its end it writes the study's report. Called again after an interruption, it goes on where it
    stopped.

    Example:
        >>> from assay import finalize
        >>> study = finalize("digits-mlp", seeds=5)
        >>> study.finalists, study.decision["leader"]

    Args:
        study: name of the study.
        **options: see below.

    Returns:
        The study: `finalists` has a row for each training, `decision` the verdicts.

    Raises:
        RequestError: the request can't be met; the test set was not opened.
        SearchError: the work failed; what ended is recorded.
        KeyboardInterrupt: the user interrupted it. A second interrupt ends the process.
    """
    open_standard_descriptors()
    check_argument_names("finalize", FinalizeArguments, options)
    _check_text("finalize takes the name of a study", study)
    request, store_paths = read_finalize(options)
    display = BarDisplay() if read_progress(options) else SilentDisplay()
    with mlflow_settings():
        result = finalizing.finalize(study, request, store_paths, display)
        _raise_failure(result.status)
        loaded = read_study(study, store_paths)
        if result.evaluation.is_judged and options.get("report", True):
            # Here, because figures need matplotlib.
            from assay.experiments.report.write import report_finalized

            _, warning = report_finalized(study, store_paths)
            if warning is not None:
                warnings.warn(warning, stacklevel=2)
    decision = to_full_record(result.evaluation, loaded.finalist_runs, result.registered)
    return dataclasses.replace(loaded, decision=decision)


@with_arguments(StoreOptions)
def compare(*names: str, **options: Unpack[StoreOptions]) -> pandas.DataFrame:
    """Compare the finalists of studies, and runs in MLflow. Nothing is written.

    Example:
        >>> from assay import compare
        >>> table = compare("digits-mlp", "digits-wide")
        >>> table[["validation", "test", "verdict"]]
        >>> table.attrs["smallest_gap"]

    Args:
        names: names of finalized studies, and ids of runs (32 hex digits).
        **options: see below.

    Returns:
        A row for each configuration, the leader first; the index is its name. Columns: study,
        trial, baseline, each hyperparameter that differs, seeds, validation and test (means over
        the seeds, with _sd and the 95 % interval _low and _high), verdict, difference (of the test
        metric from the leader's), p_value, reason. `attrs` has what `assay compare --json` prints.

    Raises:
        RequestError: there is no such study or run, a study is not finalized, or they can't be
            compared.
    """
    check_argument_names("compare", StoreOptions, options)
    for name in names:
        _check_text("compare takes names of studies and ids of runs", name)
    with mlflow_settings():
        store_paths = StorePaths.choose(**read_options(StoreOptions, options))
        _warn_if_moved(store_paths)
        return to_frame(compare_configurations(names, store_paths))


def report(
    *studies: str,
    out: Path | str | None = None,
    source: Path | str | None = None,
    home: Path | str | None = None,
    storage: str | None = None,
    tracking_uri: str | None = None,
) -> ReportResult:
    """Write a report: one page about a study or several, with the records that it is drawn from.

    Example:
        >>> from assay import report
        >>> report("digits-mlp").page
        >>> report("mnist-mlp", "mnist-cnn", out="benchmark")
        >>> report(source="benchmark")

    Args:
        studies: names of the studies, in the order of the page.
        out: folder to write it to. None: below `reports` in home, or that of `source`.
        source: folder of a report that is drawn again, from its records alone.
        home: folder of everything that running produces. None: ASSAY_HOME, or ./mlruns.
        storage: Optuna storage, as a URL. None: ASSAY_STORAGE, or SQLite in home.
        tracking_uri: MLflow tracking URI. None: MLFLOW_TRACKING_URI, or SQLite in home.

    Returns:
        The folder, its page and its twin in Markdown, and the address of the page in MLflow.

    Raises:
        RequestError: there is no such study, a store can't be read, or a file of `source` differs
            from its manifest.
        SearchError: the folder can't be written.
    """
    from assay.experiments.report.write import make_report, rebuild_report  # here likewise

    given = {"home": home, "storage": storage, "tracking_uri": tracking_uri}
    options = read_options(StoreOptions, given)
    for name in studies:
        _check_text("report takes names of studies", name)
    if bool(studies) == (source is not None):
        raise RequestError(
            "report takes names of studies or a source: received "
            f"{'both' if studies else 'neither'}; give one of them."
        )
    if source is not None:
        return rebuild_report(source, out)
    with mlflow_settings():
        store_paths = StorePaths.choose(**options)
        _warn_if_moved(store_paths)
        result = make_report(studies, store_paths, out)
    if result.warning is not None:
        warnings.warn(result.warning, stacklevel=2)
    return result


@with_arguments(ReproduceArguments)
def reproduce(run_id: str, **options: Unpack[ReproduceArguments]) -> ReproduceResult:
    """Train a recorded run again as it was recorded, and compare every metric of every epoch.

    Example:
        >>> from assay import load_study, reproduce
        >>> again = reproduce(load_study("digits-mlp").best["run_id"])
        >>> again.within, again.largest_difference, again.differs_now

    Args:
        run_id: of a trial, or a single run, in MLflow.
        **options: see below.

    Returns:
        Each metric beside the recorded one, and what differs from when the run was recorded.

    Raises:
        RequestError: there is no such run, or it can't be trained again; nothing was written.
        KeyboardInterrupt: the user interrupted it. A second interrupt ends the process.
    """
    open_standard_descriptors()
    check_argument_names("reproduce", ReproduceArguments, options)
    _check_text("reproduce takes the id of a run", run_id)
    display = BarDisplay("epoch") if read_progress(options) else SilentDisplay()
    with mlflow_settings():
        request, store_paths = read_reproduce(run_id, options)
        command = mask_call("reproduce", run_id, options)
        training = dataclasses.replace(request.run, command=command)
        request = dataclasses.replace(request, run=training)
        result = repeat.reproduce(request, store_paths, display)
    if result.is_interrupted:
        _raise_failure(result.result.status)
    return result


def export(
    study: str,
    to: str,
    *,
    out: Path | str | None = None,
    trial: int | None = None,
    force: bool = False,
    run_code: bool = False,
    home: Path | str | None = None,
    storage: str | None = None,
    tracking_uri: str | None = None,
) -> ExportResult:
    """Write the network of a study to a file, with the lines that use it.

    It is that of the leader of the last finalize, or of the best trial. It takes raw inputs and
    gives probabilities, or values.

    Example:
        >>> from assay import export
        >>> export("digits-mlp", to="onnx").file

    Args:
        study: name of the study.
        to: the format: keras, onnx or savedmodel.
        out: the file, or for savedmodel the folder. None: named after the study, in the current
            folder.
        trial: number of the trial whose model is exported. None: the leader's, or the best.
        force: whether existing files are replaced.
        run_code: whether code of your own that is kept with the model may be run.
        home: folder of everything that running produces. None: ASSAY_HOME, or ./mlruns.
        storage: Optuna storage, as a URL. None: ASSAY_STORAGE, or SQLite in home.
        tracking_uri: MLflow tracking URI. None: MLFLOW_TRACKING_URI, or SQLite in home.

    Returns:
        The files, and which model they are.

    Raises:
        RequestError: there is no such model, or the files can't be written; nothing was.
        SearchError: the network can't be converted.
    """
    given = {"home": home, "storage": storage, "tracking_uri": tracking_uri}
    options = read_options(StoreOptions, given)
    _check_text("export takes the name of a study", study)
    if trial is not None and (isinstance(trial, bool) or not isinstance(trial, int)):
        raise RequestError(f"trial takes the number of a trial; received {show_value(trial)}.")
    if out is not None and not isinstance(out, str | Path):
        raise RequestError(f"out takes a path; received {show_value(out)}.")
    path = None if out is None else Path(out)
    with mlflow_settings():
        store_paths = StorePaths.choose(**options)
        _warn_if_moved(store_paths)
        request = exporting.ExportRequest(
            study, exporting.check_format(to), path, trial, bool(force), bool(run_code)
        )
        return exporting.export(request, store_paths)


def load_study(
    name: str,
    *,
    home: Path | str | None = None,
    storage: str | None = None,
    tracking_uri: str | None = None,
    importance: str | None = None,
) -> StudyResult:
    """Load a study. Nothing is written, and a sweep may be running it.

    A study of another home is known as far as Optuna and MLflow know it: without epochs and costs.

    Example:
        >>> from assay import load_study
        >>> load_study("digits-mlp").plot_history()

    Args:
        name: name of the study.
        home: folder of everything that running produces. None: ASSAY_HOME, or ./mlruns.
        storage: Optuna storage, as a URL. None: ASSAY_STORAGE, or SQLite in home.
        tracking_uri: MLflow tracking URI. None: MLFLOW_TRACKING_URI, or SQLite in home.
        importance: importance evaluator: ranks, ped-anova, fanova or mdi. None: the experiment's.

    Raises:
        RequestError: there is no such study or evaluator, or a store can't be reached.
    """
    given = {"home": home, "storage": storage, "tracking_uri": tracking_uri}
    options = read_options(StoreOptions, given)
    _check_text("load_study takes the name of a study", name)
    if importance is not None:
        _check_text("importance takes the name of an evaluator", importance)
    with mlflow_settings():
        store_paths = StorePaths.choose(**options)
        _warn_if_moved(store_paths)
        study = read_study(name, store_paths, importance)
        finalized, _ = load_finalizes(name, store_paths)
    decision = (
        None
        if finalized is None
        else to_study_record(finalized, study.finalist_runs, study.registered)
    )
    return dataclasses.replace(study, decision=decision)


def _check_text(rule: str, value: object) -> None:
    if not isinstance(value, str):
        raise RequestError(f"{rule}, as text; received {show_value(value)}.")


def _warn_if_moved(store_paths: StorePaths) -> None:
    """Warn where a function was called that home was copied or moved."""
    if (relocation := find_relocation(store_paths.workspace)) is not None:
        warnings.warn(f"{relocation}; change them with 'assay doctor --fix'", stacklevel=3)


def _raise_failure(status: RunStatus, otherwise: str = "the search failed.") -> None:
    """Raise what the command line tells by its exit code."""
    if status.exit_code == _INTERRUPTED:
        raise KeyboardInterrupt
    if status.exit_code == _TERMINATED:
        raise SystemExit(status.exit_code)
    if status.exit_code != 0:
        raise SearchError(status.failure or otherwise)
