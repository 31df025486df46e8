"""The studies that a storage holds."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assay.experiments.workspace import StorePaths, journal_experiments
from assay.models.errors import RequestError
from assay.models.names import suggestion
from assay.search.system.urls import is_there

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class StudySummary:
    """What is to be known of a study at a glance.

    Attributes:
        experiment: its experiment's name; None if it was run from another home.
        complete: trials that trained all their epochs.
        pruned: trials that were stopped early.
        failed: trials that failed.
        best: the best value of a complete trial; None without one, and where there are several
            objectives.
        pareto: with several objectives, how many trials no other beats in all of them; else None.
    """

    experiment: str | None
    complete: int
    pruned: int
    failed: int
    best: float | None
    pareto: int | None

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        counted = f"{self.complete} complete, {self.pruned} pruned, {self.failed} failed"
        best = "none complete" if self.best is None else f"best {self.best:.4g}"
        if self.pareto is not None:
            best = f"{self.pareto} on the Pareto front"
        whose = "another home's" if self.experiment is None else self.experiment
        return f"{counted}; {best}; {whose}"


def summaries(store_paths: StorePaths) -> dict[str, StudySummary]:
    """Return what there is to know of each study. Reading makes no storage where there is none."""
    storage = _storage(store_paths)
    if storage is None:
        return {}
    import optuna  # here, because a home without studies needs none of it

    experiments = journal_experiments(store_paths.workspace)
    return {
        name: _summary(_load(storage, name), experiments.get(name))
        for name in optuna.get_all_study_names(storage)
    }


def study_names(store_paths: StorePaths) -> list[str]:
    """Return the names of all studies in Optuna's storage. Reading makes none where there is
    none.
    """
    storage = _storage(store_paths)
    if storage is None:
        return []
    import optuna  # here for the same reason

    return optuna.get_all_study_names(storage)


def load_optuna_study(study: str, store_paths: StorePaths) -> optuna.Study:
    """Return a study of Optuna's storage, to be read. Reading makes no storage where there is none.

    Raises:
        RequestError: there is none of that name, or the storage can't be reached.
    """
    storage = _storage(store_paths)
    if storage is not None:
        with suppress(KeyError):
            return _load(storage, study)
    raise unknown_study(study, study_names(store_paths))


def unknown_study(study: str, known: Iterable[str]) -> RequestError:
    """Return the error that says that there is no such study, which there are, and which was
    meant.
    """
    names = sorted(known)
    return RequestError(
        f"there is no study {study!r}: there is {', '.join(names) or 'none yet'}.{suggestion(study, names)}"
    )


def _storage(store_paths: StorePaths) -> optuna.storages.BaseStorage | None:
    if not is_there(store_paths.storage):
        return None
    from assay.search.storage.opening import open_storage  # here for the same reason

    return open_storage(store_paths.storage)


def _load(storage: optuna.storages.BaseStorage, name: str) -> optuna.Study:
    import optuna  # here for the same reason

    return optuna.load_study(
        study_name=name, storage=storage, sampler=optuna.samplers.RandomSampler()
    )


def _summary(study: optuna.Study, experiment: str | None) -> StudySummary:
    counts = Counter(trial.state.name for trial in study.get_trials(deepcopy=False))
    several = len(study.directions) > 1
    return StudySummary(
        experiment=experiment,
        complete=counts["COMPLETE"],
        pruned=counts["PRUNED"],
        failed=counts["FAIL"],
        best=None if several or not counts["COMPLETE"] else study.best_value,
        pareto=len(study.best_trials) if several else None,
    )
