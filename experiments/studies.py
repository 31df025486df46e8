"""The studies that a storage holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from experiments.places import Places

if TYPE_CHECKING:
    import optuna


def summaries(places: Places) -> dict[str, str]:
    """Return a line about each study. Reading makes no storage where there is none."""
    if places.storage == places.home.storage and not Path(places.home.path / "optuna.db").exists():
        return {}
    import optuna  # here, because a home without studies needs none of it

    from search.storage import open_storage

    studies = optuna.get_all_study_summaries(open_storage(places.storage))
    return {study.study_name: _line(study) for study in studies}


def _line(study: optuna.study.StudySummary) -> str:
    best = "" if study.best_trial is None else f", best {study.best_trial.value:.4f}"
    return f"{study.n_trials} trials asked for or queued{best}"
