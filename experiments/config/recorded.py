"""Experiments as a journal records them, with everything that was set."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from assay.experiments.config.catalog import list_catalog
from assay.experiments.config.experiment import Experiment, parse_experiment, read_experiment
from assay.experiments.config.names import SEARCHABLE, Setting, split_name
from assay.models.errors import RequestError
from assay.search.events import RecordedExperiment, StudyOpened

_OUTDATED = (
    "was made by a release that did not record what --set and the like changed: give the study "
    "a trial with this release ('assay sweep' with --trials N + 1), or start it anew with --study."
)


def record_experiment(experiment: Experiment, home: Path) -> RecordedExperiment:
    """Return what a journal keeps of an experiment.

    Args:
        experiment: with everything that was set.
        home: the folder that the journal is in.
    """
    is_in_catalog = experiment.path in list_catalog().values()
    file = os.path.relpath(experiment.path.absolute(), home.absolute())
    return RecordedExperiment(
        toml=experiment.to_toml(),
        file=None if is_in_catalog else file,
        set_names={
            setting.qualified: _name_to_restore(experiment, setting, name)
            for setting, name in experiment.set_names.items()
        },
    )


def _name_to_restore(experiment: Experiment, setting: Setting, written: str) -> str:
    """Return the name by which a setting that was set is recorded again."""
    # [space] may have called it by its qualified name; once it is fixed, [space] lacks it.
    is_searchable = setting.table in SEARCHABLE
    is_qualified = is_searchable and experiment.recorded_name(setting) == setting.qualified
    return setting.qualified if is_qualified else written


def restore_experiment(opened: StudyOpened, home: Path) -> Experiment:
    """Return the experiment that a study, or a single run, was opened with.

    Args:
        opened: the last event that opened it.
        home: the folder that its journal is in.

    Raises:
        RequestError: the journal does not have all of it, or its file is not where it was.
    """
    recorded, name = opened.resolved, opened.study or opened.experiment
    if recorded is None:
        raise RequestError(f"{name!r} {_OUTDATED}")
    file = _find_file(opened, recorded, home)
    restored = parse_experiment(file, recorded.toml)
    if restored.family.factory is not None:
        _check_factory(restored, file, home, name)
    return dataclasses.replace(
        restored, text=opened.text, set_names=_read_set_names(recorded.set_names)
    )


def _read_set_names(recorded: Mapping[str, str]) -> dict[Setting, str]:
    tables = {qualified: split_name(qualified) for qualified in recorded}
    return {
        Setting(table, name): recorded[qualified]
        for qualified, (table, name) in tables.items()
        if table is not None
    }


def _find_file(opened: StudyOpened, recorded: RecordedExperiment, home: Path) -> Path:
    """Return the path of the experiment's file, which need not exist."""
    if recorded.file is not None:
        return Path(os.path.normpath(home.absolute() / recorded.file))
    catalog = list_catalog()
    if opened.experiment not in catalog:
        raise RequestError(
            f"experiment {opened.experiment!r} must be in the catalogue of this release: it is "
            "not; 'assay list experiments' shows what is."
        )
    return catalog[opened.experiment]


def _check_factory(restored: Experiment, file: Path, home: Path, name: str) -> None:
    """Check that the user's own file names the function whose code would run.

    A journal may come from elsewhere; what it names is not reason enough to run code.

    Raises:
        RequestError: the file is missing, lies in home, or names another function.
    """
    if file.resolve().is_relative_to(home.resolve()):
        raise RequestError(
            f"{name!r} was made with the model {restored.family.name!r} of {file}: files in home "
            "are not run, because home may come from elsewhere; move the file out of it, and run "
            "the sweep again."
        )
    if not file.is_file():
        raise RequestError(
            f"{name!r} has its model from {file}, which is not there: put the file back."
        )
    current = read_experiment(file)
    if current.family.name != restored.family.name:
        raise RequestError(
            f"{name!r} was made with the model {restored.family.name!r}: {file} now names "
            f"{current.family.name!r}; change it back."
        )
