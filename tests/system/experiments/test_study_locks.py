"""Several supervisors of one home on one study in PostgreSQL."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from assay.experiments.maintenance.delete import delete_study, locked_study
from assay.experiments.results.load import read_study
from assay.experiments.run import study_locks
from assay.experiments.workspace import StorePaths, journal_names
from assay.models.errors import RequestError
from assay.search.events import StudyClosed, StudyOpened, TrialBegun, TrialEnded
from assay.search.journal import Journal
from assay.search.storage.opening import open_storage
from assay.search.storage.stored_values import SUPERVISOR
from assay.search.study import StudyTrials
from tests.helpers.postgresql import PostgreSQL
from tests.helpers.shared_study import opened, tell


@pytest.fixture
def store_paths(tmp_path: Path) -> StorePaths:
    return StorePaths.choose(home=tmp_path / "home")


def told(store_paths: StorePaths, study: StudyTrials, name: str, instance: int) -> int:
    """Run one trial as a supervisor instance; return its number."""
    trial = study.ask()
    assert trial is not None
    with Journal(store_paths.workspace.journal(name, instance)) as journal:
        journal.append(
            StudyOpened(
                study=name, study_id=study.study_id, experiment="mine", provenance={},
                text="", data={}, supervisor=study.supervisor,
            )
        )  # fmt: skip
        searched = trial.searched
        journal.append(
            TrialBegun(
                trial=trial.number, seed=trial.seed, params={}, searched=searched, origin="random"
            )
        )
        journal.append(
            TrialEnded(
                trial=trial.number,
                state="complete",
                values=(0.5,),
                metrics={"parameters": instance},
            )
        )
        journal.append(StudyClosed(closing="finished"))
    tell(study, trial)
    return trial.number


@pytest.fixture
def shared_paths(store_paths: StorePaths, postgresql: PostgreSQL) -> StorePaths:
    """Return the paths of a study with two instances that ran one trial each."""
    shared_paths = replace(store_paths, storage=postgresql.new())
    for instance in (1, 2):
        told(shared_paths, opened(shared_paths.storage, "both"), "both", instance)
    return shared_paths


def test_a_study_is_read_from_all_its_journals(shared_paths: StorePaths) -> None:
    assert journal_names(shared_paths.workspace) == ["both"]
    assert list(read_study("both", shared_paths).trials["parameters"]) == [1, 2]


def test_deleting_a_study_deletes_all_its_journals(shared_paths: StorePaths) -> None:
    with locked_study("both", shared_paths) as stored:
        assert stored.trials == 2
        delete_study(stored, shared_paths)
    assert not list(shared_paths.workspace.path.glob("journal/*.jsonl"))


def test_a_running_study_is_not_deleted(shared_paths: StorePaths) -> None:
    with ExitStack() as stack:
        stack.enter_context(study_locks._lock(shared_paths.workspace, "both", 2))
        with (
            pytest.raises(RequestError, match="is being run by process"),
            locked_study("both", shared_paths),
        ):
            pass
    opened(shared_paths.storage, "both").ask()  # of another home
    with (
        pytest.raises(RequestError, match="is being run from another home"),
        locked_study("both", shared_paths),
    ):
        pass


def test_the_next_supervisor_recovers_an_abandoned_instance(
    shared_paths: StorePaths,
) -> None:
    study = opened(shared_paths.storage, "both")
    left = study.ask()
    assert left is not None
    with Journal(shared_paths.workspace.journal("both", 2)) as journal:
        journal.append(
            StudyOpened(
                study="both", study_id=study.study_id, experiment="mine", provenance={},
                text="", data={}, supervisor=study.supervisor,
            )
        )  # fmt: skip
    again = opened(shared_paths.storage, "both")
    assert study.supervisor in study_locks.recover_other_instances(
        shared_paths, "both", 1, again, lambda trial: {}
    )
    (trial,) = [one for one in again.study.trials if one.number == left.number]
    assert trial.state.name == "FAIL"
    assert trial.user_attrs[SUPERVISOR] == study.supervisor
    assert open_storage(shared_paths.storage).get_all_trials(again.study._study_id)
