"""Several supervisors of one home on one study: locks, journals and models."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from assay.experiments.run import study_locks
from assay.experiments.workspace import StorePaths, Workspace
from assay.models.errors import RequestError

SHARED = "postgresql://somewhere/else"


@pytest.fixture
def store_paths(tmp_path: Path) -> StorePaths:
    return StorePaths.choose(home=tmp_path / "home")


def test_a_supervisor_without_a_journal_counts_as_running(
    store_paths: StorePaths,
) -> None:
    store_paths.workspace.journal("study").parent.mkdir(parents=True)
    store_paths.workspace.journal("study").touch()
    with ExitStack() as stack:
        stack.enter_context(study_locks._lock(store_paths.workspace, "study", 2))
        assert study_locks.find_runner(store_paths.workspace, "study") is not None
        assert not study_locks.is_only_instance(store_paths.workspace, "study", 1)
        with pytest.raises(RequestError, match="is being run by process"), ExitStack() as second:
            study_locks.lock_all_instances(second, store_paths.workspace, "study")
    with ExitStack() as stack:
        study_locks.lock_all_instances(stack, store_paths.workspace, "study")


def test_the_model_of_another_supervisor_is_found(store_paths: StorePaths) -> None:
    store_paths.workspace.journal("study", 2).parent.mkdir(parents=True)
    store_paths.workspace.journal("study", 2).touch()
    kept = study_locks.model_store_of(store_paths.workspace, "study", 2).path(7)
    kept.touch()
    ours = study_locks.model_store_of(store_paths.workspace, "study")
    assert (ours.find_model(7), ours.find_model(8)) == (kept, None)
    ours.keep_only(set())
    assert kept.exists()  # the other supervisor removes it


def test_sqlite_allows_one_supervisor(store_paths: StorePaths) -> None:
    with ExitStack() as stack:
        assert study_locks.acquire_instance(stack, store_paths, "study") == 1
        with pytest.raises(RequestError, match="is being run by process"):
            study_locks.acquire_instance(stack, store_paths, "study")


def test_postgresql_supervisors_take_the_first_free_instance(store_paths: StorePaths) -> None:
    shared = replace(store_paths, storage=SHARED)
    with ExitStack() as stack:
        assert study_locks.acquire_instance(stack, shared, "study") == 1
        with ExitStack() as second:
            assert study_locks.acquire_instance(second, shared, "study") == 2
            assert study_locks.acquire_instance(stack, shared, "study") == 3
        assert study_locks.acquire_instance(stack, shared, "study") == 2


@pytest.mark.parametrize("study", ["study", "st~udy", "../up", "a.b", "x" * 300])
def test_studies_do_not_share_instances(tmp_path: Path, study: str) -> None:
    home = Workspace(tmp_path)
    for instance in (1, 2, 11):
        home.journal(study, instance).parent.mkdir(exist_ok=True)
        home.journal(study, instance).touch()
        home.journal(study + "2", instance).touch()
    assert home.instances(study) == [1, 2, 11]
    assert len(set(home.journals(study))) == 3
