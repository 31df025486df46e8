"""Several supervisors of one home on one study in PostgreSQL: readers see one study."""

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
from assay.search.storage.postgresql import SUPERVISOR
from assay.search.study import StudyTrials
from tests.helpers.postgresql import PostgreSQL
from tests.helpers.shared_study import opened, tell


@pytest.fixture
def store_paths(tmp_path: Path) -> StorePaths:
    return StorePaths.choose(home=tmp_path / "home")


def told(store_paths: StorePaths, study: StudyTrials, name: str, instance: int) -> int:
    """Have a supervisor of a instance do one trial; return its number."""
    trial = study.ask()
    assert trial is not None
    with Journal(store_paths.workspace.journal(name, instance)) as journal:
        journal.append(
            StudyOpened(
                study=name, study_id=study.study_id, experiment="mine", provenance={}, text="", data={},
                supervisor=study.supervisor,
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
def shared(store_paths: StorePaths, postgresql: PostgreSQL) -> StorePaths:
    """A home with a study of two instances, each of which did a trial."""
    shared = replace(store_paths, storage=postgresql.new())
    for instance in (1, 2):
        told(shared, opened(shared.storage, "both"), "both", instance)
    return shared


def test_who_reads_a_study_reads_all_its_journals(shared: StorePaths) -> None:
    assert journal_names(shared.workspace) == ["both"]
    assert list(read_study("both", shared).trials["parameters"]) == [1, 2]


def test_deleting_a_study_deletes_all_its_journals(shared: StorePaths) -> None:
    with locked_study("both", shared) as stored:
        assert stored.trials == 2
        delete_study(stored, shared)
    assert not list(shared.workspace.path.glob("journal/*.jsonl"))


def test_a_study_that_is_being_run_is_not_deleted(shared: StorePaths) -> None:
    with ExitStack() as stack:
        stack.enter_context(study_locks._lock(shared.workspace, "both", 2))
        with (
            pytest.raises(RequestError, match="is being run by process"),
            locked_study("both", shared),
        ):
            pass
    opened(shared.storage, "both").ask()  # by another home
    with (
        pytest.raises(RequestError, match="is being run from another home"),
        locked_study("both", shared),
    ):
        pass


def test_a_slot_that_nobody_is_in_is_settled_by_whoever_comes_next(shared: StorePaths) -> None:
    study = opened(shared.storage, "both")
    left = study.ask()
    assert left is not None
    with Journal(shared.workspace.journal("both", 2)) as journal:
        journal.append(
            StudyOpened(
                study="both", study_id=study.study_id, experiment="mine", provenance={}, text="", data={},
                supervisor=study.supervisor,
            )
        )  # fmt: skip
    again = opened(shared.storage, "both")
    assert study.supervisor in study_locks.recover_other_instances(
        shared, "both", 1, again, lambda trial: {}
    )
    (trial,) = [one for one in again.study.trials if one.number == left.number]
    assert trial.state.name == "FAIL"
    assert trial.user_attrs[SUPERVISOR] == study.supervisor
    assert open_storage(shared.storage).get_all_trials(again.study._study_id)
