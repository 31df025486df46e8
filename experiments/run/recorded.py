"""Recorded trainings: a trial or a single run, with what is needed to train it again.

The journal in home is read first: it has all values as they were. For a run of another home, MLflow
has what its tags, parameters and artifacts hold. Both may come from elsewhere: only values are read
from them, and `restore_experiment` decides whether a user's code may run.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.experiments.config.catalog import list_catalog
from assay.experiments.config.experiment import Experiment
from assay.experiments.config.recorded import restore_experiment
from assay.experiments.config.request import ExecutionRequest
from assay.experiments.tracking.artifacts import read_text_artifact
from assay.experiments.tracking.code import read_packages
from assay.experiments.tracking.lookup import RunRecord, find_run, is_run_id, load_run
from assay.experiments.tracking.schema import (
    FINALIST_TAG,
    PARENT_TAG,
    SESSION_SEPARATOR,
    SPLIT_SEED_TAG,
    STUDY_ID_TAG,
    TRAINING_TAG,
    encode_name,
    read_number,
)
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError
from assay.models.precision import PRECISIONS
from assay.search.events import EpochEnded, RecordedExperiment, StudyOpened
from assay.search.history import TrialHistory, read_history, read_sessions
from assay.search.space import Configuration, Parameter
from assay.search.system.files import expand_path

_MOST_THREADS = 4096
_MOST_LANES = 4096
_FINAL_METRICS = ("parameters", "restored_epoch")
"""Metrics that are measured once, and follow from the training alone."""


@dataclass(frozen=True)
class RecordedRun:
    """A training as it was recorded.

    Attributes:
        run_id: its run in MLflow.
        title: what it is, such as "trial 7 of digits-mlp".
        experiment: what was trained, with everything that was set.
        configuration: the searched hyperparameters.
        params: every hyperparameter by name, as text.
        opened: how its study, or itself, was opened.
        seed: random seed of the training.
        epochs: metrics of each epoch.
        lanes: number of trials that trained together in each epoch; empty if it trained alone, or
            that is not recorded.
        final_metrics: metrics that were measured once, and follow from the training alone.
        state: "complete", "pruned" or "failed: REASON".
        in_journal: whether home's journal has it; else it was read from MLflow.
    """

    run_id: str
    title: str
    experiment: Experiment
    configuration: Configuration
    params: Mapping[str, str]
    opened: StudyOpened
    seed: int
    epochs: Sequence[Mapping[str, float]]
    final_metrics: Mapping[str, float]
    state: str
    in_journal: bool
    lanes: tuple[int, ...] = ()

    @property
    def epoch(self) -> int:
        """The epoch that its values are of, from 1: the last, or the one early stopping kept."""
        last = len(self.epochs)
        kept = self.final_metrics.get("restored_epoch", last)
        return int(kept) if 1 <= kept <= last else last

    def tag(self, name: str) -> str | None:
        """Return a tag; of several sessions of a study, that of the last."""
        value = self.opened.provenance.get(name)
        return None if value is None else value.rpartition(SESSION_SEPARATOR)[2]

    @property
    def execution(self) -> ExecutionRequest:
        """What it trained on."""
        precision = self.tag("assay.precision") or "float32"
        on_gpu = (self.tag("assay.device") or "cpu").startswith("gpu")
        return ExecutionRequest(
            backend=self.tag("assay.backend"),
            device="gpu:0" if on_gpu else "cpu",
            # Any other one was set by the user's file, which sets it again.
            precision=precision if precision in PRECISIONS else "float32",
            xla=self.tag("assay.xla") or "auto",
            deterministic=self.tag("assay.deterministic") == "yes",
            threads=self._read_whole("assay.threads", 1, _MOST_THREADS),
        )

    @property
    def order_seed(self) -> int | None:
        """Seed of the batch order that it shared with other trials; None if it had its own."""
        return self._read_whole("assay.order_seed", 0, 2**63)

    def _read_whole(self, name: str, low: int, high: int) -> int | None:
        text = self.tag(name)
        if text is None:
            return None
        if not (
            text.isascii() and text.isdecimal() and len(text) < 20 and low <= int(text) <= high
        ):
            raise RequestError(
                f"the tag {name} of run {self.run_id} must be a whole number from {low} to {high}; "
                f"received {text!r:.40}."
            )
        return int(text)


def find_recorded_run(
    run_id: str, store_paths: StorePaths, file: str | Path | None = None
) -> RecordedRun:
    """Return a recorded training.

    Args:
        run_id: of its run in MLflow: that of a trial, a single run, or a finalist.
        store_paths: home and MLflow's store.
        file: the experiment's file, if it is not where it was; None: where it was.

    Raises:
        RequestError: there is no such training, or it can't be trained again.
    """
    if not is_run_id(run_id):
        raise RequestError(
            f"a run is named by its id in MLflow, 32 hexadecimal digits; received {run_id!r:.60}: "
            "'assay show STUDY --json' prints the ids."
        )
    run = load_run(store_paths, run_id)
    if run.is_study:
        raise RequestError(
            f"run {run_id} is that of the study {run.study!r}, which trains many configurations: "
            f"name the run of one of its trials; 'assay show {run.study} --json' prints them."
        )
    found = _find_in_journals(run, store_paths)
    recorded = (
        _from_mlflow(run, store_paths, file)
        if found is None
        else _from_journal(run, found, store_paths, file)
    )
    if not recorded.epochs:
        raise RequestError(
            f"{recorded.title} has trained no epoch ({recorded.state}): name another run."
        )
    return recorded


def _find_in_journals(run: RunRecord, store_paths: StorePaths) -> TrialHistory | None:
    """Return the events of a run; None if no journal of this home has them."""
    study_id = run.tags.get(STUDY_ID_TAG)
    if study_id is None:
        return None
    number = read_number(run.tags, TRAINING_TAG)
    if number is None:
        number = run.trial or 0
    # Read one by one: a damaged journal of another run does not matter.
    for journal in _journals_of(run, store_paths):
        if any(read_sessions([journal], study_id)):
            found = read_history([journal], study_id, trial=number).trials.get(number)
            if found is not None:
                return found
    return None


def _journals_of(run: RunRecord, store_paths: StorePaths) -> Iterator[Path]:
    workspace = store_paths.workspace
    if run.study is not None and FINALIST_TAG in run.tags:
        yield workspace.finalize_journal(run.study)
    elif run.study is not None:
        yield from workspace.journals(run.study)
    else:
        yield from sorted(workspace.path.glob("journal/run-*.jsonl"), reverse=True)


def _title(run: RunRecord) -> str:
    if run.study is None:
        return f"run {run.run_id}"
    if run.trial is None:
        return f"re-training of trial {run.tags[FINALIST_TAG]} of {run.study}"
    return f"trial {run.trial} of {run.study}"


def _from_journal(
    run: RunRecord, events: TrialHistory, store_paths: StorePaths, file: str | Path | None
) -> RecordedRun:
    home = store_paths.workspace.path
    opened = events.session
    if file is not None and opened.resolved is not None:
        named = os.path.relpath(expand_path(file, "--experiment").absolute(), home.absolute())
        opened = dataclasses.replace(
            opened, resolved=dataclasses.replace(opened.resolved, file=named)
        )
    experiment = restore_experiment(opened, home)
    if opened.finalize is not None and opened.finalize.splits:
        experiment = experiment.with_fixed({"data.split_seed": events.begun.seed})
    metrics = {} if events.end is None else events.end.metrics
    return RecordedRun(
        run_id=run.run_id,
        title=_title(run),
        experiment=experiment,
        configuration=dict(events.begun.searched),
        params={name: str(value) for name, value in events.begun.params.items()},
        opened=opened,
        seed=events.begun.seed,
        epochs=[dict(epoch.metrics) for epoch in events.epochs],
        final_metrics={name: metrics[name] for name in _FINAL_METRICS if name in metrics},
        state="running" if events.end is None else events.end.label,
        in_journal=True,
        lanes=_read_lanes(run, events.epochs),
    )


def _read_lanes(run: RunRecord, epochs: Sequence[EpochEnded]) -> tuple[int, ...]:
    lanes = tuple(epoch.lanes for epoch in epochs)
    if any(not 1 <= size <= _MOST_LANES for size in lanes):
        raise RequestError(
            f"the trials that trained together with {_title(run)} must be from 1 to {_MOST_LANES}: "
            f"the journal has {max(lanes)}."
        )
    return lanes if max(lanes, default=1) > 1 else ()


# From MLflow alone.


def _from_mlflow(run: RunRecord, store_paths: StorePaths, file: str | Path | None) -> RecordedRun:
    parent = run
    if PARENT_TAG in run.tags:
        found = find_run(store_paths, run.tags[PARENT_TAG])
        if found is None:
            raise RequestError(
                f"{_title(run)} can't be trained again: the run of its study is not in MLflow, "
                "which holds the experiment."
            )
        parent = found
    opened = _opened_event(run, parent, store_paths, file)
    experiment = restore_experiment(opened, store_paths.workspace.path)
    if (split_seed := read_number(run.tags, SPLIT_SEED_TAG)) is not None:
        experiment = experiment.with_fixed({"data.split_seed": split_seed})
    seed = run.tags.get("assay.seed", "")
    if not (seed.isascii() and seed.isdecimal() and len(seed) < 20):
        raise RequestError(f"{_title(run)} can't be trained again: MLflow has no seed of it.")
    return RecordedRun(
        run_id=run.run_id,
        title=_title(run),
        experiment=experiment,
        configuration=_read_configuration(experiment, run),
        params=run.params,
        opened=opened,
        seed=int(seed),
        epochs=_epochs_of(run.epoch_metrics),
        final_metrics={
            name: run.final_metrics[name] for name in _FINAL_METRICS if name in run.final_metrics
        },
        state=run.tags.get("assay.state", "running"),
        in_journal=False,
    )


def _opened_event(
    run: RunRecord, parent: RunRecord, store_paths: StorePaths, file: str | Path | None
) -> StudyOpened:
    """Return what MLflow has of the event that opened a study, or a single run."""
    read = functools.partial(read_text_artifact, store_paths, parent.run_id)
    toml = read("resolved.toml")
    home = store_paths.workspace.path
    named: str | None = None
    if file is not None:
        named = os.path.relpath(expand_path(file, "--experiment").absolute(), home.absolute())
    elif parent.experiment not in list_catalog():
        raise RequestError(
            f"{_title(run)} was trained from another home: name the file of its experiment "
            f"{parent.experiment!r} with --experiment FILE.toml."
        )
    return StudyOpened(
        study=run.study,
        study_id="mlflow",
        experiment=parent.experiment,
        # A re-training has its own threads, device and batch order.
        provenance=run.tags if FINALIST_TAG in run.tags else parent.tags,
        text=read("experiment.toml") or "",
        data={"digest": parent.tags.get("assay.dataset.digest", "")},
        resolved=None if toml is None else RecordedExperiment(toml, named),
        packages=read_packages(read("packages.txt") or ""),
    )


def _read_configuration(experiment: Experiment, run: RunRecord) -> Configuration:
    """Return the searched hyperparameters of a run from its parameters, which are texts."""
    configuration: dict[str, Any] = {}
    for name, parameter in experiment.space.items():
        text = run.params.get(encode_name(name))
        if text is not None:
            configuration[name] = read_value(parameter, text, f"{name} of run {run.run_id}")
    return configuration


def read_value(parameter: Parameter, text: str, where: str) -> Any:
    """Return a value of a parameter from its text in MLflow, exactly.

    Args:
        parameter: of the search space.
        text: as `str` wrote it.
        where: the beginning of the message.

    Raises:
        RequestError: the parameter can't have such a value.
    """
    if parameter.is_range:
        for kind in (int, float):
            try:
                return parameter.check(where, kind(text))
            except ValueError:
                continue
    for choice in parameter.extreme_values():
        if str(choice) == text:
            return choice
    raise RequestError(f"{where}: {text!r:.60} is no value of the search space.")


def _epochs_of(metrics: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    count = max((len(values) for values in metrics.values()), default=0)
    return [
        {
            name: values[epoch] if epoch < len(values) else math.nan
            for name, values in metrics.items()
        }
        for epoch in range(count)
    ]
