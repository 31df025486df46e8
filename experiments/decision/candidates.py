"""Configurations that are compared, from finalized studies and from runs in MLflow.

A study gives the configurations of its last finalize, from its journal and its predictions in
home. Runs come from MLflow: re-trainings of one configuration are one candidate, a trial or a
single run is one by itself, without predictions.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assay.experiments.decision.files import predictions_file
from assay.experiments.decision.finalists import judged_objective
from assay.experiments.decision.load import FinalizedStudy, load_finalizes
from assay.experiments.decision.outcome import (
    average_validation,
    group_by_finalist,
    label_failures,
    read_test_scores,
)
from assay.experiments.evaluation.summaries import MeanInterval, mean_interval
from assay.experiments.results.finalizes import Training
from assay.experiments.tracking.artifacts import read_artifact, read_text_artifact
from assay.experiments.tracking.lookup import (
    RunRecord,
    find_run,
    is_deleted,
    is_run_id,
    load_run,
    search_study_runs,
)
from assay.experiments.tracking.schema import (
    FINALIST_TAG,
    OBJECTIVE_TAG,
    OPENINGS_TAG,
    PARENT_TAG,
    PREFLIGHT_TAG,
    SPLIT_SEED_TAG,
    STATE_TAG,
    STUDY_ID_TAG,
    TRAINING_TAG,
    VERDICTS_TAG,
    encode_name,
    read_number,
    read_trial,
)
from assay.experiments.tracking.store import open_client
from assay.experiments.workspace import StorePaths, journal_names
from assay.models.errors import DamagedFile, RequestError
from assay.models.tasks import TASKS, Task
from assay.search.events import FinalistConfiguration
from assay.search.objective import Objective, Objectives

if TYPE_CHECKING:
    from mlflow.entities import Run

ONE_TRAINING = (
    "it is one training, without predictions on the test set; 'assay finalize' trains a study's "
    "best on fresh seeds"
)
"""Why a trial or a single run has no verdict."""

_STUDY_ID = re.compile(r"[\w.-]{1,100}", re.ASCII)
_SHORT_ID_CHARACTERS = 8
_ORIGIN_TAG, _BASELINE = "assay.origin", "baseline"
_PREDICTIONS, _RESOLVED = "predictions.npz", "resolved.toml"
# Not hyperparameters, but they change what a configuration is worth.
_SETUP_TAGS = ("assay.backend", "assay.precision", "assay.code.digest")
_TRAIN_EXAMPLES = "assay.train_examples"


@dataclass(frozen=True)
class Conditions:
    """What configurations have in common if they can be compared.

    Attributes:
        data: name of the data set.
        digest: its digest, the test set included.
        task: classification or regression.
        objective: by which validation chooses the leader.
        validation: number of validation examples; None if it is not recorded.
        split_seed: seed of the validation split; None if it is not recorded.
        splits: whether the validation split was drawn anew for every seed.
    """

    data: str
    digest: str
    task: Task
    objective: Objective
    validation: int | None
    split_seed: int | None
    splits: bool


@dataclass(frozen=True, eq=False)
class Predicted:
    """What the networks of a configuration predict on the test set.

    Attributes:
        scores: of each example by each network (seeds, examples); see `read_test_scores`.
        targets: the targets (examples, ...).
    """

    scores: NDArray[np.float64]
    targets: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A configuration that is compared.

    Attributes:
        name: "STUDY/TRIAL", or the beginning of a run's id.
        study: name of its study; None for a single run.
        trial: number of the trial that it is from; None for a single run.
        runs: ids of the runs that were named; empty for a configuration of a study that was.
        is_baseline: whether it is a baseline of the experiment.
        params: every hyperparameter, and what else its networks were trained with.
        conditions: what it must share with the others.
        seeds: number of trainings that are complete.
        failed: label of each training that failed.
        validation: the objective over the seeds; None without a complete training.
        predicted: its predictions; None without any.
        why_not_judged: why it gets no verdict; None if it can get one.
        openings: how many times its study has opened the test set.
        notes: what limits the comparison, one sentence each.
        trainings: its re-trainings, each by the id of its study and its number.
    """

    name: str
    study: str | None
    trial: int | None
    runs: tuple[str, ...]
    is_baseline: bool
    params: Mapping[str, Any]
    conditions: Conditions
    seeds: int
    failed: tuple[str, ...]
    validation: MeanInterval | None
    predicted: Predicted | None
    why_not_judged: str | None
    openings: int
    notes: tuple[str, ...]
    trainings: frozenset[tuple[str, int]]


def load_candidates(names: Sequence[str], store_paths: StorePaths) -> list[Candidate]:
    """Return the configurations of studies and runs.

    Args:
        names: names of studies, and ids of runs in MLflow (32 hex digits). A study's own run stands
            for the study.
        store_paths: where the stores are.

    Raises:
        RequestError: there is no such study or run, a study is not finalized, or one is named
            twice.
    """
    runs = _RunReader(store_paths)
    known = journal_names(store_paths.workspace)
    studies: list[str] = []
    for name in names:
        # A study may be named like a run id: then the study is meant.
        is_run = is_run_id(name) and name not in known
        study = runs.add(name) if is_run else name
        if study is not None:
            studies.append(study)
    _check_named_once([*studies, *runs.run_ids])
    candidates = [one for study in studies for one in _read_study(study, store_paths)]
    candidates += runs.candidates()
    _check_trained_once(candidates)
    return _name_apart(candidates)


def _check_named_once(names: Iterable[str]) -> None:
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise RequestError(
            f"each study and each run is named once: received {twice[0]!r} more than once; leave "
            "out the others."
        )


def _check_trained_once(candidates: Sequence[Candidate]) -> None:
    """Check that no network is in two configurations, which are compared as independent ones."""
    owners: dict[tuple[str, int], Candidate] = {}
    for candidate in candidates:
        for training in candidate.trainings:
            other = owners.setdefault(training, candidate)
            if other is not candidate:
                raise RequestError(
                    f"each re-training is compared once: {other.study!r} has the runs of "
                    f"{candidate.name} already; name the study or its runs."
                )


def _name_apart(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates with a name each: of equal ones the later get the id of a run."""
    found: list[Candidate] = []
    names: set[str] = set()
    for candidate in candidates:
        name = candidate.name
        if name in names:
            name = f"{name} ({candidate.runs[0]})"
        names.add(name)
        found.append(dataclasses.replace(candidate, name=name))
    return found


# Studies, from the journal.


def _read_study(study: str, store_paths: StorePaths) -> list[Candidate]:
    finalized, _ = load_finalizes(study, store_paths)
    if finalized is None:
        raise not_finalized_error(study)
    provenance, opened = finalized.record.opened.provenance, finalized.record.opened
    objective = judged_objective(finalized.objectives)
    resolved = "" if opened.resolved is None else opened.resolved.toml
    conditions = _read_conditions(
        {**provenance, "assay.task": finalized.task},
        objective,
        resolved,
        splits=finalized.record.plan.splits,
    )
    trainings = group_by_finalist(finalized.record)
    return [
        _from_finalist(one, trainings.get(one.trial, ()), finalized, conditions)
        for one in finalized.record.plan.finalists
    ]


def not_finalized_error(study: str) -> RequestError:
    """Return the error about a study without verdicts."""
    return RequestError(
        f"a study is compared by its finalists: {study!r} is not finalized; run 'assay finalize "
        f"{study}'."
    )


def _from_finalist(
    configuration: FinalistConfiguration,
    trainings: Sequence[Training],
    finalized: FinalizedStudy,
    conditions: Conditions,
) -> Candidate:
    predicted, objective = _read_predictions(trainings, finalized), conditions.objective
    params = trainings[0].begun.params if trainings else configuration.searched
    return Candidate(
        name=f"{finalized.study}/{configuration.trial}",
        study=finalized.study,
        trial=configuration.trial,
        runs=(),
        is_baseline=configuration.is_baseline,
        params={**params, **_read_setup(finalized.record.opened.provenance)},
        conditions=conditions,
        seeds=sum(training.is_complete for training in trainings),
        failed=label_failures(trainings),
        validation=average_validation(trainings, finalized.objectives, objective),
        predicted=predicted,
        why_not_judged=None if predicted is not None else _explain_missing(trainings),
        openings=finalized.openings,
        notes=(),
        trainings=frozenset((finalized.study_id, one.begun.trial) for one in trainings),
    )


def _explain_missing(trainings: Sequence[Training]) -> str:
    labels = label_failures(trainings)
    return f"no network was measured on the test set ({labels[0] if labels else 'none trained'})"


def _read_predictions(trainings: Sequence[Training], finalized: FinalizedStudy) -> Predicted | None:
    files = [
        predictions_file(finalized.folder, training.begun.trial)
        for training in trainings
        if training.tested is not None and training.tested.error is None
    ]
    read = functools.partial(read_test_scores, task=finalized.task)
    return _stack([(str(file), *read(file)) for file in files])


def _stack(
    networks: Sequence[tuple[str, NDArray[np.float64], NDArray[Any]]],
) -> Predicted | None:
    """Return the predictions of networks, each with a name for messages, as one table.

    Raises:
        RequestError: they are of other test examples.
    """
    if not networks:
        return None
    first, _, targets = networks[0]
    for other, _, others in networks[1:]:
        check_same_examples(first, targets, other, others)
    return Predicted(np.stack([scores for _, scores, _ in networks]), targets)


def check_same_examples(
    first: str, targets: NDArray[Any], second: str, others: NDArray[Any]
) -> None:
    """Check that two have predicted the same test examples in the same order.

    Args:
        first: name of the first, for the message.
        targets: its targets.
        second: name of the second.
        others: its targets.

    Raises:
        RequestError: they have not.
    """
    if targets.shape == others.shape and _equal_targets(targets, others):
        return
    counts = f"{len(targets)} of {first} and {len(others)} of {second}"
    detail = " with other targets or in another order" if len(targets) == len(others) else ""
    raise RequestError(
        f"configurations are compared on the same test examples: received {counts}{detail}; "
        "finalize both on one data set."
    )


def _equal_targets(targets: NDArray[Any], others: NDArray[Any]) -> bool:
    if targets.dtype.kind != "f":
        return np.array_equal(targets, others)
    # Where targets are centred, float32 rounds them.
    tolerance = 1e-6 * float(np.abs(targets).max(initial=0.0))
    return np.allclose(targets, others, rtol=0.0, atol=tolerance)


# Runs, from MLflow.


def _check_one_kind_of_split(runs: Sequence[RunRecord]) -> None:
    """Check that the runs of a configuration have the study's validation split, or each its own.

    Raises:
        RequestError: some have the one, some the other.
    """
    drawn = [run.run_id for run in runs if SPLIT_SEED_TAG in run.tags]
    fixed = [run.run_id for run in runs if SPLIT_SEED_TAG not in run.tags]
    if drawn and fixed:
        raise RequestError(
            f"runs of one configuration are compared on one kind of validation split: {fixed[0]} "
            f"has the study's, {drawn[0]} one that --splits drew; leave one kind out."
        )


class _RunReader:
    """Collects runs, and reads the configurations that they are of.

    Args:
        store_paths: where the stores are.
    """

    def __init__(self, store_paths: StorePaths) -> None:
        self._store_paths = store_paths
        self._runs: dict[str, RunRecord] = {}
        self._parents: dict[str, RunRecord] = {}
        self._of_study: dict[str, Sequence[Run]] = {}
        self.run_ids: list[str] = []

    def add(self, run_id: str) -> str | None:
        """Add a run; return the study if the run is a study's own.

        Raises:
            RequestError: there is no such run.
        """
        run = load_run(self._store_paths, run_id)
        if run.is_study:
            return run.study
        self.run_ids.append(run_id)
        self._runs[run_id] = run
        return None

    def candidates(self) -> list[Candidate]:
        """Return the configurations of the runs, in the order of their first runs.

        Raises:
            RequestError: a run does not have what a comparison needs.
        """
        groups: dict[tuple[str, int] | str, list[RunRecord]] = {}
        for run_id, run in self._runs.items():
            finalist = read_number(run.tags, FINALIST_TAG)
            key = run_id if finalist is None else (run.tags.get(STUDY_ID_TAG, ""), finalist)
            groups.setdefault(key, []).append(run)
        return [
            self._from_training(runs[0]) if isinstance(key, str) else self._from_finalist(runs)
            for key, runs in groups.items()
        ]

    def _from_training(self, run: RunRecord) -> Candidate:
        """Return a trial or a single run as a candidate."""
        conditions = self._conditions(run, splits=False)
        state = run.tags.get(STATE_TAG, run.status.lower())
        value = _validation_value(run, conditions.objective) if state == "complete" else None
        return Candidate(
            name=run.run_id[:_SHORT_ID_CHARACTERS],
            study=run.study,
            trial=run.trial,
            runs=(run.run_id,),
            is_baseline=run.tags.get(_ORIGIN_TAG) == _BASELINE,
            params=self._params(run),
            conditions=conditions,
            seeds=int(state == "complete"),
            failed=() if state == "complete" else (state,),
            validation=None if value is None else mean_interval([value]),
            predicted=None,
            why_not_judged=ONE_TRAINING,
            openings=0,
            notes=(),
            trainings=frozenset(),
        )

    def _from_finalist(self, runs: Sequence[RunRecord]) -> Candidate:
        """Return the re-trainings of a configuration as a candidate."""
        first = runs[0]
        parent = self._parent(first)
        if VERDICTS_TAG not in parent.tags:
            raise not_finalized_error(str(first.study))
        _check_one_kind_of_split(runs)
        conditions = self._conditions(first, SPLIT_SEED_TAG in first.tags)
        complete = [run for run in runs if run.tags.get(STATE_TAG) == "complete"]
        values = [_validation_value(run, conditions.objective) for run in complete]
        present = [value for value in values if value is not None]
        predicted = _stack([read for run in complete for read in self._read(run, conditions.task)])
        finalist = read_number(first.tags, FINALIST_TAG)
        name, siblings = f"{first.study}/{finalist}", self._siblings(first)
        return Candidate(
            name=name,
            study=first.study,
            trial=finalist,
            runs=tuple(run.run_id for run in runs),
            is_baseline=_is_baseline(siblings, finalist),
            params=self._params(first),
            conditions=conditions,
            seeds=len(complete),
            failed=tuple(
                run.tags.get(STATE_TAG, run.status.lower()) for run in runs if run not in complete
            ),
            validation=mean_interval(present) if present else None,
            predicted=predicted,
            why_not_judged=None
            if predicted is not None
            else f"its runs have no {_PREDICTIONS} of the test set",
            openings=read_number(parent.tags, OPENINGS_TAG) or 1,
            notes=_note_choice(siblings, name, complete),
            trainings=frozenset(
                (run.tags.get(STUDY_ID_TAG, ""), number)
                for run in runs
                if (number := read_number(run.tags, TRAINING_TAG)) is not None
            ),
        )

    def _read(
        self, run: RunRecord, task: Task
    ) -> list[tuple[str, NDArray[np.float64], NDArray[Any]]]:
        """Return the scores and the targets of a re-training, if it was measured."""
        read = functools.partial(read_test_scores, task=task)
        found = read_artifact(self._store_paths, run.run_id, _PREDICTIONS, read)
        return [] if found is None else [(f"run {run.run_id}", *found)]

    def _siblings(self, run: RunRecord) -> Sequence[Run]:
        """Return the runs of a run's study that are not deleted.

        Raises:
            DamagedFile: the id of the study is none.
        """
        study_id = run.tags.get(STUDY_ID_TAG, "")
        if _STUDY_ID.fullmatch(study_id) is None:
            raise DamagedFile(
                f"tag {STUDY_ID_TAG} of run {run.run_id} must be the id of a study: received "
                f"{study_id!r:.40}; delete that run in MLflow."
            )
        if study_id not in self._of_study:
            client = open_client(self._store_paths.tracking_uri)
            found = search_study_runs(client, str(run.study), study_id)
            self._of_study[study_id] = [one for one in found if not is_deleted(one)]
        return self._of_study[study_id]

    def _parent(self, run: RunRecord) -> RunRecord:
        """Return the study's own run; of a single run the run itself.

        Raises:
            RequestError: it is not there.
        """
        if run.study is None:
            return run
        parent_id = run.tags.get(PARENT_TAG, "")
        if parent_id not in self._parents:
            parent = find_run(self._store_paths, parent_id) if parent_id else None
            if parent is None:
                raise RequestError(
                    f"run {run.run_id} must have the run of its study beside it: there is no run "
                    f"{parent_id!r}; restore it in MLflow."
                )
            self._parents[parent_id] = parent
        return self._parents[parent_id]

    def _params(self, run: RunRecord) -> dict[str, Any]:
        params = {name: _parse_param(text) for name, text in run.params.items()}
        # What trials share is on the study's own run.
        return {**params, **_read_setup({**self._parent(run).tags, **run.tags})}

    def _conditions(self, run: RunRecord, splits: bool) -> Conditions:
        parent = self._parent(run)
        goals = Objectives.read(parent.tags.get(OBJECTIVE_TAG, "").split(", "))
        resolved = read_text_artifact(self._store_paths, parent.run_id, _RESOLVED)
        tags = {**parent.tags, **run.tags}
        return _read_conditions(tags, judged_objective(goals), resolved or "", splits)


def _is_baseline(runs: Iterable[Run], trial: int | None) -> bool:
    """Return whether a trial was a baseline, as its run among those of its study says."""
    tags = (run.data.tags for run in runs)
    return any(read_trial(of) == trial and of.get(_ORIGIN_TAG) == _BASELINE for of in tags)


def _note_choice(runs: Iterable[Run], name: str, chosen: Sequence[RunRecord]) -> tuple[str, ...]:
    """Return a sentence where more re-trainings of a configuration are complete than were named.

    Args:
        runs: of its study.
        name: name of the configuration.
        chosen: its runs that were named and are complete.
    """
    if not chosen:
        return ()
    finalist = chosen[0].tags.get(FINALIST_TAG)
    complete = {
        run.data.tags.get(TRAINING_TAG)
        for run in runs
        if run.data.tags.get(FINALIST_TAG) == finalist
        and run.data.tags.get(STATE_TAG) == "complete"
    }
    if len(complete) <= len(chosen):
        return ()
    return (
        f"{name} is judged on {len(chosen)} of its {len(complete)} complete re-trainings: name all "
        "of them, because seeds that are chosen by their scores give false verdicts.",
    )


def _validation_value(run: RunRecord, objective: Objective) -> float | None:
    """Return the objective of a complete training."""
    # "value" is there with one objective only.
    if "value" in run.final_metrics:
        return run.final_metrics["value"]
    by_epoch = run.epoch_metrics.get(encode_name(objective.metric), ())
    epoch = run.final_metrics.get("restored_epoch", len(by_epoch))
    return by_epoch[int(epoch) - 1] if 1 <= epoch <= len(by_epoch) else None


def _parse_param(text: str) -> Any:
    """Return the value of a parameter, which MLflow stores as text."""
    with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
        value = ast.literal_eval(text)
        if str(value) == text:
            return value
    return text


# Both.


def _read_conditions(
    tags: Mapping[str, str], objective: Objective, resolved: str, splits: bool
) -> Conditions:
    """Return the conditions of a configuration.

    Args:
        tags: what is recorded of it, by MLflow tag.
        objective: by which validation chooses.
        resolved: the experiment with everything that was set, as TOML; empty if it is not recorded.
        splits: whether each seed has a split of its own.
    """
    task = next((known for known in TASKS if known == tags.get("assay.task")), None)
    if task is None:
        raise DamagedFile(
            f"a run's tag assay.task must be {' or '.join(TASKS)}: received "
            f"{tags.get('assay.task')!r:.40}."
        )
    return Conditions(
        data=tags.get("assay.dataset", "unknown"),
        digest=tags.get("assay.dataset.digest", "unknown"),
        task=task,
        objective=objective,
        validation=_read_count(tags, "validation"),
        split_seed=_read_split_seed(resolved),
        splits=splits,
    )


def _read_split_seed(resolved: str) -> int | None:
    try:
        data = tomllib.loads(resolved).get("data")
    except (ValueError, RecursionError):
        return None
    seed = data.get("split_seed", 0) if isinstance(data, dict) else None
    return seed if isinstance(seed, int) else None


def _read_count(tags: Mapping[str, str], name: str) -> int | None:
    """Return a number of examples that the preflight check has recorded."""
    with suppress(ValueError, RecursionError, LookupError, TypeError):
        count = json.loads(tags[PREFLIGHT_TAG])["split"][name]
        return count if isinstance(count, int) else None
    return None


def _read_setup(tags: Mapping[str, str]) -> dict[str, Any]:
    """Return what else changes what a configuration is worth, by MLflow tag."""
    found: dict[str, Any] = {name: tags[name] for name in _SETUP_TAGS if name in tags}
    if (count := _read_count(tags, "train")) is not None:
        found[_TRAIN_EXAMPLES] = count
    return found
