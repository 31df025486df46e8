"""Several supervisors of one home on one study: each has a journal of its own, and readers see one study."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from assay.experiments.maintenance.delete import delete, held
from assay.experiments.results.load import read_study
from assay.experiments.run import study_locks
from assay.experiments.workspace import StorePaths, Workspace, journal_names
from assay.models.errors import RequestError
from assay.search.events import StudyClosed, StudyOpened, TrialBegun, TrialEnded
from assay.search.journal import Journal
from assay.search.storage.opening import open_storage
from assay.search.storage.postgresql import SUPERVISOR
from assay.search.study import StudyTrials
from tests.helpers.postgresql import PostgreSQL
from tests.helpers.shared_study import opened, tell

SHARED = "postgresql://somewhere/else"


@pytest.fixture
def store_paths(tmp_path: Path) -> StorePaths:
    return StorePaths.choose(home=tmp_path / "home")


def test_a_supervisor_that_has_no_journal_yet_is_at_work_all_the_same(
    store_paths: StorePaths,
) -> None:
    store_paths.workspace.journal("study").parent.mkdir(parents=True)
    store_paths.workspace.journal("study").touch()
    with ExitStack() as stack:
        stack.enter_context(study_locks._lock(store_paths.workspace, "study", 2))
        assert study_locks.busy(store_paths.workspace, "study") is not None
        assert not study_locks.is_alone(store_paths.workspace, "study", 1)
        with pytest.raises(RequestError, match="is being run by process"), ExitStack() as second:
            study_locks.hold(second, store_paths.workspace, "study")
    with ExitStack() as stack:
        study_locks.hold(stack, store_paths.workspace, "study")


def test_the_model_of_another_supervisors_trial_is_found(store_paths: StorePaths) -> None:
    store_paths.workspace.journal("study", 2).parent.mkdir(parents=True)
    store_paths.workspace.journal("study", 2).touch()
    kept = study_locks.model_store_of(store_paths.workspace, "study", 2).path(7)
    kept.touch()
    ours = study_locks.model_store_of(store_paths.workspace, "study")
    assert (ours.find(7), ours.find(8)) == (kept, None)
    ours.clear(keep=set())
    assert kept.exists()  # it is the other's to clear


def test_on_sqlite_there_is_one_at_a_time(store_paths: StorePaths) -> None:
    with ExitStack() as stack:
        assert study_locks.take(stack, store_paths, "study") == 1
        with pytest.raises(RequestError, match="is being run by process"):
            study_locks.take(stack, store_paths, "study")


def test_on_postgresql_the_next_takes_the_first_slot_that_is_free(store_paths: StorePaths) -> None:
    shared = replace(store_paths, storage=SHARED)
    with ExitStack() as stack:
        assert study_locks.take(stack, shared, "study") == 1
        with ExitStack() as second:
            assert study_locks.take(second, shared, "study") == 2
            assert study_locks.take(stack, shared, "study") == 3
        assert study_locks.take(stack, shared, "study") == 2


@pytest.mark.parametrize("study", ["study", "st~udy", "../up", "a.b", "x" * 300])
def test_slots_of_one_study_are_never_those_of_another(tmp_path: Path, study: str) -> None:
    home = Workspace(tmp_path)
    for instance in (1, 2, 11):
        home.journal(study, instance).parent.mkdir(exist_ok=True)
        home.journal(study, instance).touch()
        home.journal(study + "2", instance).touch()
    assert home.instances(study) == [1, 2, 11]
    assert len(set(home.journals(study))) == 3


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
    with held("both", shared) as remains:
        assert remains.trials == 2
        delete(remains, shared)
    assert not list(shared.workspace.path.glob("journal/*.jsonl"))


def test_a_study_that_is_being_run_is_not_deleted(shared: StorePaths) -> None:
    with ExitStack() as stack:
        stack.enter_context(study_locks._lock(shared.workspace, "both", 2))
        with pytest.raises(RequestError, match="is being run by process"), held("both", shared):
            pass
    opened(shared.storage, "both").ask()  # by another home
    with pytest.raises(RequestError, match="is being run from another home"), held("both", shared):
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
    assert study.supervisor in study_locks.settle_others(shared, "both", 1, again, lambda trial: {})
    (trial,) = [one for one in again.study.trials if one.number == left.number]
    assert trial.state.name == "FAIL"
    assert trial.user_attrs[SUPERVISOR] == study.supervisor
    assert open_storage(shared.storage).get_all_trials(again.study._study_id)
