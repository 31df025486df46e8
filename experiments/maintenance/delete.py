"""Deleting a study from both stores and from home.

MLflow goes first, then Optuna's study, then what home has, the journal last: it knows under which
id the rest lies, so after a death at any point the same command finds what is left.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from assay.experiments.results.listing import study_names, unknown_study
from assay.experiments.run.study_locks import hold
from assay.experiments.tracking.lookup import are_known, remove, runs_of_ids, runs_of_name
from assay.experiments.tracking.schema import STUDY_ID_TAG
from assay.experiments.workspace import StorePaths, journal_names
from assay.models.errors import RequestError
from assay.search.artifacts import Checkpoints, ModelStore
from assay.search.events import StudyOpened, TrialBegun
from assay.search.journal import read
from assay.search.system.urls import is_there, masked


@dataclass(frozen=True)
class Remains:
    """What there is of a study: whether Optuna has it, the trials anybody knows of, its runs in
    MLflow.
    """

    study: str
    in_optuna: bool
    trials: int
    runs: tuple[str, ...]


@contextmanager
def held(study: str, store_paths: StorePaths) -> Iterator[Remains]:
    """Enter with what there is of a study, which nobody can run meanwhile.

    Raises:
        RequestError: there is none of that name, it is being run, it is another home's, or a store
            can't be reached.
    """
    _look_up(
        study, store_paths
    )  # before the lock, which leaves a file: of a study that is not there nothing must be left
    with ExitStack() as stack:
        try:
            hold(stack, store_paths.workspace, study)
        except RequestError as error:
            running = str(error).partition(": ")[0]
            raise RequestError(
                f"{running}: wait for that sweep, or end it, before deleting the study."
            ) from None
        yield _look_up(study, store_paths)


def delete(remains: Remains, store_paths: StorePaths) -> None:
    """Delete all of it. Stopped in the middle, it can be called again with what is left then."""
    if remains.runs:  # else there may be no store, and none must be made
        remove(store_paths, remains.runs)
    if remains.in_optuna:
        import optuna  # here, because what was never searched need not wait for it

        from assay.search.storage.opening import open_storage

        optuna.delete_study(study_name=remains.study, storage=open_storage(store_paths.storage))
    Checkpoints(store_paths.workspace.checkpoints(remains.study)).remove()
    for instance in reversed(store_paths.workspace.instances(remains.study)):
        ModelStore(store_paths.workspace.models(remains.study, instance)).remove()
        journal = store_paths.workspace.journal(remains.study, instance)
        # An offset into this journal, left to the journal of the next study of the name, would hide
        # its beginning.
        journal.with_suffix(".tracked").unlink(missing_ok=True)
        journal.unlink(missing_ok=True)


def _look_up(study: str, store_paths: StorePaths) -> Remains:
    journals = store_paths.workspace.journals(study)
    events = [
        event for journal in journals for event, _ in read(journal, only=[StudyOpened, TrialBegun])
    ]
    opened = [event for event in events if isinstance(event, StudyOpened)]
    ids = {event.study_id for event in opened}
    begun = len({event.trial for event in events if isinstance(event, TrialBegun)})
    in_optuna = _in_optuna(study, store_paths, ids, {event.supervisor for event in opened})
    runs = _runs(study, store_paths, ids)
    if in_optuna is None and not runs and not any(journal.exists() for journal in journals):
        raise unknown_study(
            study, {*study_names(store_paths), *journal_names(store_paths.workspace)}
        )
    return Remains(study, in_optuna is not None, max(in_optuna or 0, begun), tuple(runs))


def _in_optuna(
    study: str, store_paths: StorePaths, ids: set[str], supervisors: set[str]
) -> int | None:
    """Return how many trials Optuna has of the study; None if it has no such study.

    Raises:
        RequestError: it is another home's, or another home is at work on it.
    """
    if study not in study_names(store_paths):
        return None
    import optuna  # here, because a home without studies needs none of it

    from assay.search.storage.opening import open_storage
    from assay.search.storage.postgresql import SUPERVISOR

    storage = open_storage(store_paths.storage)
    found = optuna.load_study(
        study_name=study, storage=storage, sampler=optuna.samplers.RandomSampler()
    )
    trials = len(found.get_trials(deepcopy=False))
    running = found.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    others = [
        one.number
        for one in running
        if one.user_attrs.get(SUPERVISOR, "") not in {"", *supervisors}
    ]
    if others:
        raise RequestError(
            f"trial {others[0]} of study {study!r} is being run from another home: end that sweep before deleting the "
            "study; if it was killed, assay doctor --fix over there settles its trials."
        )
    known = found.user_attrs.get(STUDY_ID_TAG) in ids  # Optuna has it under the same name as MLflow
    if not known and (trials > 0 or store_paths.storage != store_paths.workspace.storage):
        raise RequestError(
            f"study {study!r} lies in this storage but was run from another home: name that one with --home."
        )
    return trials


def _runs(study: str, store_paths: StorePaths, ids: set[str]) -> list[str]:
    """Return the study's runs that are in MLflow.

    Raises:
        RequestError: they are in another store than this one, where they would be left without
            their study.
    """
    there = is_there(store_paths.tracking_uri)
    if not (there and ids and are_known(store_paths, ids)):
        told = _told(store_paths.workspace.journal(study).with_suffix(".tracked"))
        if told not in (None, masked(store_paths.tracking_uri)):
            raise RequestError(
                f"the runs of study {study!r} lie in {told}: name that store with --tracking-uri."
            )
    if not there:
        return []
    if ids:
        return runs_of_ids(store_paths, ids)
    # Elsewhere the name may be another home's.
    return (
        runs_of_name(store_paths, study)
        if store_paths.tracking_uri == store_paths.workspace.tracking
        else []
    )


def _told(cursor: Path) -> str | None:
    """Return the store that a journal was last passed on to, if it ever was."""
    with suppress(OSError, ValueError, KeyError):
        return str(json.loads(cursor.read_text())["tracking_uri"])
    return None
