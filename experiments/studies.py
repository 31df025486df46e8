"""The studies that a storage holds."""

from __future__ import annotations

from pathlib import Path

from experiments.places import Places


def summaries(places: Places) -> dict[str, str]:
    """Return a line about each study: trials done, and the best. Reading makes no storage where there is none."""
    if places.storage == places.home.storage and not Path(places.home.path / "optuna.db").exists():
        return {}
    import optuna  # here, because a home without studies needs none of it

    from search.storage import open_storage

    found = optuna.get_all_study_summaries(open_storage(places.storage))
    return {
        study.study_name: f"{study.n_trials} trials"
        + ("" if study.best_trial is None else f", best {study.best_trial.value:.4f}")
        for study in found
    }
