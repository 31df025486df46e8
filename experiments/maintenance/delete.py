"""Deleting a study from MLflow, Optuna and home, in this order.

The journal is deleted last: it has the id by which the rest is found, so after a death at any point
the same command deletes what is left.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from assay.experiments.decision.files import delete_finalists
from assay.experiments.results.listing import list_studies, unknown_study_error
from assay.experiments.run.study_locks import lock_all_instances
from assay.experiments.tracking.addresses import find_relocation, update_addresses
from assay.experiments.tracking.cursor import cursor_files, read_cursor
from assay.experiments.tracking.home_id import is_recorded_elsewhere
from assay.experiments.tracking.lookup import (
    delete_runs,
    find_run_ids,
    find_run_ids_by_name,
    has_study_runs,
)
from assay.experiments.tracking.registry import count_versions, delete_versions
from assay.experiments.tracking.schema import STUDY_ID_TAG
from assay.experiments.workspace import StorePaths, journal_names
from assay.models.errors import DamagedFile, RequestError
from assay.search.artifacts import Checkpoints, ModelStore
from assay.search.events import STUDY_ID_PATTERN, StudyOpened, TrialBegun
from assay.search.journal import read_events
from assay.search.system.urls import mask_secrets, store_exists

_FOREIGN_RUNS = "the runs in {}, because they are of the home of which this one is a copy"


@dataclass(frozen=True)
class StoredStudy:
    """What the stores have of a study.

    Attributes:
        study: name of the study.
        in_optuna: whether Optuna has it.
        trials: number of trials in Optuna or in the journals, whichever has more.
        runs: ids of its runs in MLflow, parent runs last.
        study_ids: ids that the name has had in this home.
        versions: number of its versions in MLflow's model registry.
        optuna_damage: why home's own storage can't be read; what it has may be left.
        mlflow_damage: why home's own MLflow store can't be read; what it has is left.
        damaged_locks: which of its locks are left, because they are no regular files.
        foreign_runs: why its runs are left: another home, of which this one is a copy, has them.
    """

    study: str
    in_optuna: bool
    trials: int
    runs: tuple[str, ...]
    optuna_damage: str | None = None
    mlflow_damage: str | None = None
    foreign_runs: str | None = None
    damaged_locks: tuple[str, ...] = ()
    study_ids: frozenset[str] = frozenset()
    versions: int = 0


@contextmanager
def locked_study(study: str, store_paths: StorePaths) -> Iterator[StoredStudy]:
    """Lock a study, and yield what the stores have of it.

    Raises:
        RequestError: there is no such study, a process runs it, another home ran it, or a store
            can't be reached.

    Example:
        >>> with locked_study("digits-mlp", store_paths) as stored:
        ...     delete_study(stored, store_paths)
    """
    # Once before the lock, which creates a file: a wrong name must not leave one.
    _find_study(study, store_paths)
    with ExitStack() as stack:
        damaged: list[str] = []
        try:
            lock_all_instances(stack, store_paths, study, lambda error: damaged.append(str(error)))
        except RequestError as error:
            running = str(error).partition(": ")[0]
            raise RequestError(
                f"{running}: wait for that sweep, or end it, before deleting the study."
            ) from None
        yield replace(_find_study(study, store_paths), damaged_locks=tuple(damaged))


def delete_study(stored: StoredStudy, store_paths: StorePaths) -> list[str]:
    """Delete a study, or what an interruption left of it.

    Args:
        stored: of `locked_study`, whose lock the caller holds.
        store_paths: where the stores are.

    Returns:
        What is left, with the reason: folders with files that Assay did not write, and stores that
        can't be read.
    """
    left = [why for why in (stored.mlflow_damage, stored.foreign_runs) if why is not None]
    left += stored.damaged_locks
    # `mlflow gc` deletes artifacts wherever the addresses of deleted runs lead.
    try:
        update_addresses(store_paths.workspace)
    except DamagedFile as error:
        if str(error) not in left:
            left.append(str(error))
    # Without runs the store may not exist, and must not be created.
    # The versions first: they lead to the runs' artifacts.
    if stored.versions:
        delete_versions(store_paths, stored.study_ids)
    if stored.runs:
        delete_runs(store_paths, stored.runs)
    if stored.in_optuna:
        left += _delete_from_optuna(stored, store_paths)
    workspace = store_paths.workspace
    folders = [
        Checkpoints(workspace.checkpoints(stored.study)).delete(),
        delete_finalists(workspace.finalists(stored.study)),
    ]
    instances = workspace.instances(stored.study)
    folders += [ModelStore(workspace.models(stored.study, one)).delete() for one in instances]
    # The first instance last: its journal is there until the end.
    journals = [workspace.journal(stored.study, one) for one in reversed(instances)]
    for journal in (workspace.finalize_journal(stored.study), *journals):
        # The cursor before the journal: a cursor that was left behind would make the tracker of
        # the next study of this name skip the beginning of its journal.
        for file in (*cursor_files(journal.with_suffix(".tracked")), journal):
            try:
                file.unlink(missing_ok=True)
            except IsADirectoryError:
                folders.append(file)
    return left + [
        f"{folder}, because it is a link or holds files that Assay did not write"
        for folder in folders
        if folder is not None
    ]


def _delete_from_optuna(stored: StoredStudy, store_paths: StorePaths) -> list[str]:
    """Delete a study in Optuna; return why something of it is left."""
    import optuna  # here, because a home without studies needs none of it

    from assay.search.storage.opening import open_storage

    try:
        optuna.delete_study(study_name=stored.study, storage=open_storage(store_paths.storage))
    except DamagedFile as error:
        if not store_paths.has_own_storage:
            raise
        return [str(error)]
    except KeyError:  # it was not there, as far as could be read
        pass
    return []


def _find_study(study: str, store_paths: StorePaths) -> StoredStudy:
    journals = store_paths.workspace.journals(study)
    events = [
        event
        for journal in journals
        for event, _ in read_events(journal, only=[StudyOpened, TrialBegun], skip_damaged=True)
    ]
    opened = [event for event in events if isinstance(event, StudyOpened)]
    # More than one, if an earlier study of this name was deleted in Optuna alone.
    study_ids = {event.study_id for event in opened}
    begun = len({event.trial for event in events if isinstance(event, TrialBegun)})
    supervisors = {event.supervisor for event in opened}
    has_journal = any(map(os.path.lexists, journals))
    is_unreadable = has_journal and not opened
    optuna_damage = mlflow_damage = foreign_runs = None
    in_optuna: int | None = None
    runs: list[str] = []
    versions = 0
    workspace = store_paths.workspace
    try:
        in_optuna = _count_optuna_trials(study, store_paths, study_ids, supervisors, is_unreadable)
    except DamagedFile as error:
        if not store_paths.has_own_storage or not has_journal:
            raise
        # Optuna may delete what it can't read.
        in_optuna, optuna_damage = 0, str(error)
    try:
        runs = _find_run_ids(study, store_paths, study_ids)
        if runs and any(is_recorded_elsewhere(store_paths, study, one) for one in study_ids):
            runs, foreign_runs = [], _FOREIGN_RUNS.format(mask_secrets(store_paths.tracking_uri))
        elif study_ids and store_exists(store_paths.tracking_uri):
            versions = count_versions(store_paths, study_ids)
    except DamagedFile as error:
        if not store_paths.has_own_tracking or not has_journal:
            raise
        mlflow_damage = str(error)
    if in_optuna is None and not runs and not has_journal:
        raise unknown_study_error(study, {*list_studies(store_paths), *journal_names(workspace)})
    trials = max(in_optuna or 0, begun)
    return StoredStudy(
        study,
        in_optuna is not None,
        trials,
        tuple(runs),
        optuna_damage,
        mlflow_damage,
        foreign_runs,
        study_ids=frozenset(study_ids),
        versions=versions,
    )


def _count_optuna_trials(
    study: str,
    store_paths: StorePaths,
    study_ids: Collection[str],
    supervisors: Collection[str],
    is_unreadable: bool,
) -> int | None:
    """Return the number of trials in Optuna; None if it has no such study.

    Args:
        study: name of the study.
        store_paths: where the stores are.
        study_ids: ids that this home's journals have for the name.
        supervisors: ids of this home's supervisors of the study.
        is_unreadable: whether this home has a journal of the study, but no id can be read from it.

    Raises:
        RequestError: another home ran the study, or is running it.
    """
    if study not in list_studies(store_paths):
        return None
    import optuna  # here for the same reason

    from assay.search.storage.opening import open_storage
    from assay.search.storage.stored_values import SUPERVISOR

    storage = open_storage(store_paths.storage)
    loaded = optuna.load_study(
        study_name=study, storage=storage, sampler=optuna.samplers.RandomSampler()
    )
    trials = storage.get_n_trials(storage.get_study_id_from_name(study))
    running = loaded.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    elsewhere = [
        trial.number
        for trial in running
        if trial.user_attrs.get(SUPERVISOR, "") not in {"", *supervisors}
    ]
    if elsewhere:
        raise RequestError(
            f"trial {elsewhere[0]} of study {study!r} is being run from another home: end that "
            "sweep before deleting the study; if it was killed, 'assay doctor --fix' in that home "
            "settles its trials."
        )
    # Optuna has the id under the same name as MLflow.
    study_id = loaded.user_attrs.get(STUDY_ID_TAG)
    is_known = study_id in study_ids
    is_damaged = study_id is not None and not re.fullmatch(STUDY_ID_PATTERN, study_id)
    # A study without trials in home's own storage was left by a sweep that died at its beginning.
    is_left_over = store_paths.has_own_storage and (trials == 0 or is_unreadable or is_damaged)
    if not is_known and not is_left_over:
        raise RequestError(
            f"study {study!r} lies in this storage but was run from another home: name that one "
            "with --home."
        )
    return trials


def _find_run_ids(study: str, store_paths: StorePaths, study_ids: Collection[str]) -> list[str]:
    """Return the study's runs in MLflow.

    Raises:
        RequestError: they are in another store, and would be left there without their study.
    """
    exists = store_exists(store_paths.tracking_uri)
    if not (exists and study_ids and has_study_runs(store_paths, study, study_ids)):
        tracked_in = _last_tracking_uri(store_paths.workspace.journal(study))
        known = {None, mask_secrets(store_paths.tracking_uri)}
        relocation = find_relocation(store_paths.workspace)
        if relocation is not None and store_paths.has_own_tracking:
            known.add(relocation.tracking_uri)  # a cursor may still name the store of the original
        if tracked_in not in known:
            raise RequestError(
                f"the runs of study {study!r} lie in {tracked_in}: name that store with "
                "--tracking-uri."
            )
    if not exists:
        return []
    if study_ids:
        return find_run_ids(store_paths, study, study_ids)
    # Without a journal only the name is known. In another store than home's own, the name may be
    # that of another home's study.
    return find_run_ids_by_name(store_paths, study) if store_paths.has_own_tracking else []


def _last_tracking_uri(journal: Path) -> str | None:
    """Return the store that last received a journal."""
    tracked_in = read_cursor(journal.with_suffix(".tracked")).get("tracking_uri")
    # Masked once more: an earlier release masked fewer options.
    return None if tracked_in is None else mask_secrets(str(tracked_in))
