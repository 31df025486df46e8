"""What a report is collected from: a study in Optuna, its journals in home, MLflow."""

from __future__ import annotations

import ast
import contextlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.experiments.config.experiment import Experiment, parse_experiment
from assay.experiments.config.given_command import URL, mask_paths
from assay.experiments.config.toml_text import parse_toml
from assay.experiments.decision.load import (
    FinalizedStudy,
    UnfinishedFinalize,
    load_finalizes,
    read_evaluation,
)
from assay.experiments.decision.outcome import Evaluation
from assay.experiments.report.collection.plain import to_finite
from assay.experiments.results.finalizes import FinalizeRecord, read_finalizes
from assay.experiments.results.listing import load_optuna_study
from assay.experiments.results.load import read_study, read_trials
from assay.experiments.results.study import StudyResult
from assay.experiments.tracking.schema import COMMAND_TAG, read_preflight
from assay.experiments.workspace import DEFAULT_HOME, StorePaths
from assay.models.errors import RequestError
from assay.models.tasks import Task
from assay.search.events import StudyOpened
from assay.search.history import StudyHistory, TrialHistory, read_history, read_sessions
from assay.search.objective import COSTS, Objective, Objectives

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

_STORE_OPTIONS = ("--home", "--storage", "--tracking-uri")
# Of a Python function: see `mask_call`.
_CALL = re.compile(r"\w+\(")
_CALL_OPTION = re.compile(
    rf"[(,] ?(home|storage|tracking_uri)=('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|{URL})"
)


@dataclass(frozen=True)
class StudySources:
    """What the stores have of a study.

    Attributes:
        name: its name.
        store_paths: where they are.
        study: the study in Optuna.
        trials: its trials, without those that wait.
        history: its journals in this home; empty for a study of another home.
        result: the study as notebooks have it.
        finalizes: its finalizes, the first one first.
        finalized: the last finalize that has verdicts; None without one.
        unfinished: a finalize that has none yet; None without one.
        evaluation: what the last finalize found; None without one, or if its predictions are lost.
        lost: why they can't be read; None if they can.
        why_no_runs: why MLflow has not told the ids of runs; None if it has.
    """

    name: str
    store_paths: StorePaths
    study: optuna.Study
    trials: Sequence[FrozenTrial]
    history: StudyHistory
    result: StudyResult
    finalizes: Sequence[FinalizeRecord]
    finalized: FinalizedStudy | None
    unfinished: UnfinishedFinalize | None
    evaluation: Evaluation | None
    lost: str | None
    why_no_runs: str | None

    @cached_property
    def fingerprint(self) -> Mapping[str, Any]:
        """What its trials have in common; empty if Assay has not run it."""
        from assay.search.storage.stored_values import (
            FINGERPRINT,  # here, because it imports Optuna
        )

        return dict(self.study.user_attrs.get(FINGERPRINT) or {})

    @cached_property
    def objectives(self) -> Objectives:
        """Its objectives."""
        from assay.search.study_record import objectives_of  # here for the same reason

        return objectives_of(self.study)

    @property
    def judged(self) -> Objective:
        """The objective by which validation chooses: the first that is no cost."""
        each = self.objectives.each
        return next((one for one in each if one.metric not in COSTS), each[0])

    @property
    def family(self) -> str | None:
        """Its model family, or the user's function; None if it is not recorded."""
        family = self.fingerprint.get("family")
        return None if family is None else str(family)

    @property
    def best_search_score(self) -> float | None:
        """Best value of `judged` among the complete trials; None without one."""
        index = self.objectives.each.index(self.judged)
        values = [
            value
            for trial in self.trials
            if trial.state.name == "COMPLETE"
            and (value := to_finite(trial.values[index])) is not None
        ]
        pick = max if self.judged.direction == "maximize" else min
        return pick(values) if values else None

    @property
    def opened(self) -> StudyOpened | None:
        """How it was last opened; None for a study of another home."""
        return self.history.opened

    @cached_property
    def provenance(self) -> Mapping[str, str]:
        """What its last session recorded by MLflow tag; empty for a study of another home."""
        return {} if self.opened is None else self.opened.provenance

    @cached_property
    def data(self) -> Mapping[str, Any]:
        """What its journals record of the data."""
        return {} if self.opened is None else self.opened.data

    @property
    def data_digest(self) -> str | None:
        """Digest of its arrays, the test set included; None if it is not recorded."""
        data = self.fingerprint.get("data")
        recorded = data.get("digest") if isinstance(data, dict) else None
        tagged = self.provenance.get("assay.dataset.digest")
        digest = self.data.get("digest") or recorded or tagged
        return None if digest is None else str(digest)

    @cached_property
    def preflight(self) -> Mapping[str, Any]:
        """What was understood of data and model; empty if it is not recorded."""
        return read_preflight(self.opened)

    @cached_property
    def toml(self) -> str:
        """The experiment with everything that was set, as TOML; empty if it is not recorded."""
        if self.opened is None:
            return ""
        return self.opened.text if self.opened.resolved is None else self.opened.resolved.toml

    @cached_property
    def experiment(self) -> Experiment | None:
        """The experiment; None if it is not recorded, or this release can't read it."""
        if self.opened is None:
            return None
        # The file need not exist: no code is run.
        file = self.store_paths.workspace.path / f"{self.opened.experiment}.toml"
        with contextlib.suppress(RequestError):
            return parse_experiment(file, self.toml)
        return None

    @cached_property
    def task(self) -> Task:
        """Its task; classification if it is not recorded."""
        recorded = self.fingerprint.get("task", self.data.get("task"))
        return "regression" if recorded == "regression" else "classification"

    @cached_property
    def question(self) -> str | None:
        """The hyperparameter that its search asks about; None if none was declared."""
        if self.experiment is not None:
            return self.experiment.search.question
        with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
            question = parse_toml(self.toml)["search"]["question"]
            return question if isinstance(question, str) else None
        return None

    @cached_property
    def samplers(self) -> Sequence[str]:
        """Names of the samplers that it was opened with; empty if they are not recorded."""
        from assay.search.storage.stored_values import SAMPLERS  # here for the same reason

        recorded = self.study.user_attrs.get(SAMPLERS) or []
        names = [str(name) for name in recorded] or [self.provenance.get("assay.sampler", "")]
        return [name for name in names if name]

    @property
    def journals(self) -> list[Path]:
        """Its journals in this home, which need not exist."""
        return self.store_paths.workspace.journals(self.name)

    @cached_property
    def finalize_history(self) -> StudyHistory:
        """The sessions of all its finalizes."""
        journal = self.store_paths.workspace.finalize_journal(self.name)
        return read_history([journal], None if self.opened is None else self.opened.study_id)

    @property
    def finalize_record(self) -> FinalizeRecord | None:
        """The events of the finalize that is reported: the last one with verdicts."""
        return None if self.finalized is None else self.finalized.record

    @cached_property
    def sessions(self) -> Sequence[StudyOpened]:
        """How each session of its search began, the first one first."""
        study_id = None if self.opened is None else self.opened.study_id
        found = read_sessions(self.journals, study_id)
        return sorted(found, key=lambda session: session.time)

    def command(self, verb: str, *words: str) -> str:
        """Return a command line of Assay about the study, with the stores of its own commands."""
        return shlex.join(["assay", verb, *words, *self.store_options])

    @cached_property
    def store_options(self) -> Sequence[str]:
        """Options of stores in the last recorded command, and home if it is not the default one.

        A path elsewhere and a store's address are masked, as in the whole command.
        """
        commands = [one.provenance.get(COMMAND_TAG) for one in self.sessions]
        if self.finalize_record is not None:
            commands.append(self.finalize_record.opened.provenance.get(COMMAND_TAG))
        known = [command for command in commands if command]
        options = find_store_options(known[-1]) if known else []
        home = self.store_paths.workspace.path
        # It was named by ASSAY_HOME then, which the reader of a command does not have.
        if "--home" not in options and home != Path(DEFAULT_HOME).absolute():
            options += ["--home", mask_paths(str(home))]
        return options

    def recorded_values(self, tag: str) -> list[str]:
        """Return the values of a tag in all sessions of the search, each once."""
        values = (session.provenance.get(tag) for session in self.sessions)
        return list(dict.fromkeys(value for value in values if value))

    def is_scored_alike(self, other: StudySources) -> bool:
        """Return whether another study has the same metric on the same validation examples."""
        mine, others = (one._measured_on() for one in (self, other))
        return mine is not None and mine == others

    def _measured_on(self) -> str | None:
        data, split = (self.fingerprint.get(key) for key in ("data", "split"))
        if not isinstance(data, dict):  # not recorded
            return None
        # Its scaling may differ: the examples are the same.
        return json.dumps([str(self.judged), data.get("name"), data.get("digest"), split])

    def is_comparable(self, other: StudySources) -> bool:
        """Return whether another study searched the same space on the same data.

        Sampler, pruner, seed, backend and precision may differ.
        """
        keys = ("task", "data", "split", "family", "code", "fixed", "space", "objectives")
        mine, others = (
            json.dumps({key: one.fingerprint.get(key) for key in keys}, sort_keys=True)
            for one in (self, other)
        )
        return bool(self.fingerprint) and mine == others


def read_sources(name: str, store_paths: StorePaths) -> StudySources:
    """Read what the stores have of a study.

    MLflow need not answer: then no ids of runs are known.

    Raises:
        RequestError: there is no such study, or a journal can't be read.
    """
    from assay.search.storage.stored_values import STUDY_ID  # here, because it imports Optuna

    study = load_optuna_study(name, store_paths)
    # Optuna before the journals: a sweep that is running writes the journal first. And only once: a
    # trial that ends meanwhile would be running in one part of the report, and the best in another.
    trials = read_trials(study)
    study_id = study.user_attrs.get(STUDY_ID)
    workspace = store_paths.workspace
    why_no_runs = None
    try:
        result = read_study(name, store_paths, trials=trials)
    except RequestError as error:
        result = read_study(name, store_paths, needs_mlflow=False, trials=trials)
        why_no_runs = f"MLflow does not answer, so the report has no ids of runs: {error}"
    finalized, unfinished = load_finalizes(name, store_paths)
    evaluation, lost = read_evaluation(finalized)
    return StudySources(
        name=name,
        store_paths=store_paths,
        study=study,
        trials=trials,
        history=read_history(workspace.journals(name), study_id),
        result=result,
        finalizes=read_finalizes(workspace.finalize_journal(name), study_id),
        finalized=finalized,
        unfinished=unfinished,
        evaluation=evaluation,
        lost=lost,
        why_no_runs=why_no_runs,
    )


def find_store_options(command: str) -> list[str]:
    """Return the options of stores in a recorded command.

    Example:
        >>> find_store_options("assay sweep digits-mlp --trials 20 --home ./all")
        ['--home', './all']
        >>> find_store_options("sweep('digits-mlp', home='./all', trials=20)")
        ['--home', './all']
    """
    found: list[str] = []
    call = _CALL.match(command)
    if call is not None:
        for name, text in _CALL_OPTION.findall(command):
            with contextlib.suppress(ValueError, SyntaxError):
                found += [f"--{name.replace('_', '-')}", _read_argument(text)]
        return found
    try:
        words = shlex.split(command)
    except ValueError:  # it was cut
        return []
    for index, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option not in _STORE_OPTIONS:
            continue
        if equals:
            found += [option, value]
        elif index + 1 < len(words):
            found += [option, words[index + 1]]
    return found


def _read_argument(text: str) -> str:
    return text if text == URL else str(ast.literal_eval(text))


def train_seconds(trial: TrialHistory | None) -> float | None:
    """Return how long a trial was trained; None if it is not recorded."""
    if trial is None:
        return None
    if trial.end is not None:
        recorded = to_finite(trial.end.metrics.get("train_seconds"))
        if recorded is not None:
            return recorded
    # A trial that failed has no total: its epochs have their times.
    seconds = [to_finite(epoch.seconds) for epoch in trial.epochs]
    return sum(one for one in seconds if one is not None) if seconds else None
