"""Studies of an Optuna storage."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assay.experiments.formatting import format_state_counts
from assay.experiments.workspace import StorePaths, journal_experiments
from assay.models.errors import RequestError
from assay.models.names import suggestion
from assay.search.system.urls import is_file_database, store_exists

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class StudySummary:
    """A study in one line.

    The attributes are the keys of `--json`.

    Attributes:
        experiment: name of its experiment; None if another home ran it.
        complete: number of complete trials.
        pruned: number of pruned trials.
        failed: number of failed trials, without those that were interrupted.
        interrupted: number of trials that were interrupted; the next sweep redoes them.
        best: value of the best trial; None without a complete trial, or with several objectives.
        pareto: number of trials on the Pareto front; None with one objective.
    """

    experiment: str | None
    complete: int
    pruned: int
    failed: int
    interrupted: int
    best: float | None
    pareto: int | None

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        names = ("complete", "pruned", "failed", "interrupted")
        counts = format_state_counts({name: getattr(self, name) for name in names})
        best = "none complete" if self.best is None else f"best {self.best:.4g}"
        if self.pareto is not None:
            best = f"{self.pareto} on the Pareto front"
        experiment = "of another home" if self.experiment is None else self.experiment
        return f"{counts}; {best}; {experiment}"


def summarize_studies(store_paths: StorePaths) -> dict[str, StudySummary]:
    """Return a summary of each study by name.

    A storage that does not exist has none, and is not created.

    Raises:
        RequestError: the storage can't be reached.
    """
    storage = _open_existing_storage(store_paths)
    if storage is None:
        return {}
    import optuna  # here, because a home without studies needs none of it

    experiments = journal_experiments(store_paths.workspace)
    return {
        name: _summarize_study(_load_from_storage(storage, name), experiments.get(name))
        for name in optuna.get_all_study_names(storage)
    }


def _summarize_study(study: optuna.Study, experiment: str | None) -> StudySummary:
    from assay.search.study_record import (
        best_trials_of,
        count_states,
        objectives_of,
    )  # here for the same reason

    trials = study.get_trials(deepcopy=False)
    objectives = objectives_of(study)
    best_trials = best_trials_of(trials, objectives)
    best = next((values[0] for values in best_trials.values()), None)
    has_front = objectives.single is None
    return StudySummary(
        experiment=experiment,
        **count_states(trials),
        best=None if has_front else best,
        pareto=len(best_trials) if has_front else None,
    )


def list_studies(store_paths: StorePaths) -> list[str]:
    """Return the names of all studies in Optuna's storage.

    A storage that does not exist has none, and is not created.

    Raises:
        RequestError: the storage can't be reached.
    """
    storage = _open_existing_storage(store_paths)
    if storage is None:
        return []
    import optuna  # here for the same reason

    return optuna.get_all_study_names(storage)


def load_optuna_study(study: str, store_paths: StorePaths) -> optuna.Study:
    """Return a study of Optuna's storage, for reading.

    A storage that does not exist is not created.

    Raises:
        RequestError: there is no such study, or the storage can't be reached.
    """
    storage = _open_existing_storage(store_paths)
    if storage is not None:
        with suppress(KeyError):
            return _load_from_storage(storage, study)
    raise unknown_study_error(study, list_studies(store_paths))


def unknown_study_error(study: str, known: Iterable[str]) -> RequestError:
    """Return the error about an unknown study."""
    names = sorted(known)
    return RequestError(
        f"there is no study {study!r}: there is {', '.join(names) or 'none yet'}."
        f"{suggestion(study, names)}"
    )


_kept_open: ContextVar[dict[str, optuna.storages.BaseStorage] | None] = ContextVar(
    "_kept_open", default=None
)


@contextmanager
def storages_kept_open() -> Iterator[None]:
    """Open an SQLite storage once in the block: it takes 30 ms, for each study of thousands."""
    token = _kept_open.set({})
    try:
        yield
    finally:
        _kept_open.reset(token)


def _open_existing_storage(store_paths: StorePaths) -> optuna.storages.BaseStorage | None:
    if not store_exists(store_paths.storage):
        return None
    from assay.search.storage.opening import open_storage  # here for the same reason

    kept, url = _kept_open.get(), store_paths.storage
    if kept is None or not is_file_database(url):
        return open_storage(url)
    if url not in kept:
        kept[url] = open_storage(url)
    return kept[url]


def _load_from_storage(storage: optuna.storages.BaseStorage, name: str) -> optuna.Study:
    import optuna  # here for the same reason

    # Nothing is sampled; without a sampler Optuna would create a TPE sampler, which takes time.
    return optuna.load_study(
        study_name=name, storage=storage, sampler=optuna.samplers.RandomSampler()
    )
