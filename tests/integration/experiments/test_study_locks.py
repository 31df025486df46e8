"""Several supervisors of one home on one study: locks, journals and models."""

from __future__ import annotations

import itertools
import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from assay.experiments.run import study_locks
from assay.experiments.workspace import StorePaths, Workspace
from assay.models.errors import DamagedFile, RequestError
from tests.helpers.limits import time_limit

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
        assert study_locks.find_runner(store_paths, "study") is not None
        assert not study_locks.is_only_instance(store_paths.workspace, "study", 1)
        with pytest.raises(RequestError, match="is being run by process"), ExitStack() as second:
            study_locks.lock_all_instances(second, store_paths, "study")
    with ExitStack() as stack:
        study_locks.lock_all_instances(stack, store_paths, "study")


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


def shared_file(
    kind: str, first: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str]:
    """Return the URLs by which two homes name one SQLite storage."""
    (elsewhere := first.parent / "elsewhere").mkdir()
    (first.parent / "link").symlink_to("elsewhere")
    url = f"sqlite:///{elsewhere}/optuna.db"
    match kind:
        case "the same URL":
            return url, url
        case "through a link":
            return url, f"sqlite:///{first.parent}/link/..//link/optuna.db?timeout=20"
        case "relative":
            monkeypatch.chdir(first.parent)
            return url, "sqlite:///elsewhere/optuna.db"
        case "that of the first home":
            return Workspace(first).storage, f"sqlite:///{first}/./optuna.db"
        case "a long name":
            url = f"sqlite:///{elsewhere}/{'x' * 240}.db"
            return url, url
    raise AssertionError(kind)


KINDS = ["the same URL", "through a link", "relative", "that of the first home", "a long name"]


@pytest.mark.parametrize("kind", KINDS)
def test_two_homes_on_one_sqlite_file_exclude_each_other(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = [tmp_path / "first", tmp_path / "second"]
    for home in homes:
        (home / "journal").mkdir(parents=True)
    urls = shared_file(kind, *homes, monkeypatch)
    first, second = (
        StorePaths.choose(home, storage=url) for home, url in zip(homes, urls, strict=True)
    )
    long_name = "s" * 200
    for holder, other in ((first, second), (second, first)):
        for study, lock in itertools.product(
            ("study", long_name), (study_locks.acquire_instance, study_locks.lock_all_instances)
        ):
            with ExitStack() as stack:
                lock(stack, holder, study)
                with pytest.raises(RequestError, match="is being run by process"):
                    study_locks.check_is_free(other, study)
                for again in (study_locks.acquire_instance, study_locks.lock_all_instances):
                    with (
                        pytest.raises(RequestError, match="is being run by process"),
                        ExitStack() as refused,
                    ):
                        again(refused, other, study)
                study_locks.acquire_instance(stack, other, "another study")
            study_locks.check_is_free(other, study)


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_planted_for_the_lock_of_a_storage_is_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "home" / "journal").mkdir(parents=True)
    chosen = StorePaths.choose(tmp_path / "home", storage=f"sqlite:///{tmp_path}/optuna.db")
    planted = tmp_path / ".optuna.db.study.lock"
    if kind == "link":
        planted.symlink_to(tmp_path / "precious")
    else:
        os.mkfifo(planted)
    for lock in (study_locks.acquire_instance, study_locks.lock_all_instances):
        with time_limit(10), pytest.raises(DamagedFile), ExitStack() as stack:
            lock(stack, chosen, "study")
    assert (tmp_path / "precious").read_text() == "precious"


def test_no_folder_is_created_for_a_lock(tmp_path: Path) -> None:
    (tmp_path / "home" / "journal").mkdir(parents=True)
    chosen = StorePaths.choose(tmp_path / "home", storage=f"sqlite:///{tmp_path}/a/b/optuna.db")
    with ExitStack() as stack:
        study_locks.lock_all_instances(stack, chosen, "study")
    assert not (tmp_path / "a").exists()


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
