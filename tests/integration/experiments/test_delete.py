"""`assay delete` removes all of a study and nothing of others, even after a crash."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient

from assay.experiments.maintenance import delete as delete_module
from assay.experiments.maintenance.delete import StoredStudy, delete_study, locked_study
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError
from assay.search.events import StudyOpened, TrialBegun, TrialEnded
from assay.search.journal import Journal
from assay.search.system.files import StudyLock
from tests.helpers.command import ASSAY, SWEEP, Swept, invoke
from tests.helpers.waiting import GUARD_SECONDS

STUDY = "digits-mlp"


def optuna_studies(store_paths: StorePaths) -> list[str]:
    return optuna.get_all_study_names(store_paths.storage)


def active_runs(store_paths: StorePaths) -> int:
    client = MlflowClient(store_paths.tracking_uri)
    return len(
        client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    )


def kept(store_paths: StorePaths) -> list[str]:
    """Return the names of remaining journals and models, without locks."""
    found = [
        *store_paths.workspace.path.glob("journal/*"),
        *store_paths.workspace.path.glob("models/*"),
    ]
    return [path.name for path in found if path.suffix != ".lock"]


def assert_gone(store_paths: StorePaths) -> None:
    assert optuna_studies(store_paths) == []
    assert active_runs(store_paths) == 0
    assert kept(store_paths) == []


def test_everything_of_the_study_is_deleted_and_its_name_is_free(store_paths: StorePaths) -> None:
    done = invoke("delete", STUDY, "--yes", "--json", "--home", str(store_paths.workspace.path))
    counts = {"trials": 5, "runs": 6, "model_versions": 0}
    assert (done.code, done.answer) == (0, {"study": STUDY, **counts}), done.err
    assert_gone(store_paths)
    again = invoke(*SWEEP, "--home", str(store_paths.workspace.path))
    assert again.code == 0, again.err
    assert again.answer["trials"]["complete"] + again.answer["trials"]["pruned"] == 5
    assert active_runs(store_paths) == 6


def test_without_a_terminal_it_lists_the_study_and_deletes_nothing(
    store_paths: StorePaths,
) -> None:
    done = invoke("delete", STUDY, "--home", str(store_paths.workspace.path))
    assert (done.code, done.out) == (2, "")
    assert "5 trials, 6 runs" in done.err
    assert f"delete {STUDY} --home {store_paths.workspace.path} --yes" in done.err
    assert active_runs(store_paths) == 6
    assert optuna_studies(store_paths) == [STUDY]


@pytest.mark.parametrize(("answer", "code", "left"), [(b"n\n", 1, 6), (b"y\n", 0, 0)])
def test_on_a_terminal_it_asks_for_confirmation(
    answer: bytes, code: int, left: int, store_paths: StorePaths
) -> None:
    ours, theirs = pty.openpty()
    command = [*ASSAY, "delete", STUDY, "--home", str(store_paths.workspace.path)]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    os.write(ours, answer)
    _, said = process.communicate(timeout=GUARD_SECONDS)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == code
    assert f"delete study '{STUDY}': 5 trials, 6 runs in MLflow? [y/N]" in said
    assert active_runs(store_paths) == left


def test_a_running_study_is_refused(store_paths: StorePaths) -> None:
    with (
        StudyLock(store_paths.workspace.journal(STUDY).with_suffix(".lock"), STUDY),
        pytest.raises(
            RequestError,
            match=r"is being run by process \d+ since .*: wait for that sweep, or end it",
        ),
        locked_study(STUDY, store_paths),
    ):
        pass
    assert active_runs(store_paths) == 6


class Death(Exception):
    """Simulates a crash of the process."""


@pytest.mark.parametrize("step", ["third run", "optuna", "shelf"])
def test_the_same_command_completes_an_interrupted_deletion(
    step: str, store_paths: StorePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise Death

    with locked_study(STUDY, store_paths) as stored:
        if step == "third run":
            delete_module.delete_runs(store_paths, stored.runs[:2])
        steps = {
            "third run": (delete_module, "delete_runs"),
            "optuna": (optuna, "delete_study"),
            "shelf": (delete_module.ModelStore, "delete"),
        }
        with monkeypatch.context() as patch:
            patch.setattr(*steps[step], die)
            with pytest.raises(Death):
                delete_study(stored, store_paths)
    assert store_paths.workspace.journal(STUDY).exists()
    with locked_study(STUDY, store_paths) as stored:
        assert len(stored.runs) == (4 if step == "third run" else 0)
        delete_study(stored, store_paths)
    assert_gone(store_paths)


@pytest.mark.parametrize(
    "lost", ["mlflow.db", "optuna.db", "journal", "mlflow.db optuna.db", "optuna.db journal"]
)
def test_a_partly_deleted_study_is_deleted(lost: str, store_paths: StorePaths) -> None:
    for name in lost.split():
        path = store_paths.workspace.path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if lost == "journal":  # the home of the study is no longer known
        with pytest.raises(RequestError, match="another home"), locked_study(STUDY, store_paths):
            pass
        return
    with locked_study(STUDY, store_paths) as stored:
        delete_study(stored, store_paths)
    assert kept(store_paths) == []
    assert "optuna.db" in lost or optuna_studies(store_paths) == []
    assert "mlflow.db" in lost or active_runs(store_paths) == 0


def test_an_untracked_study_of_failed_trials_is_deleted(tmp_path: Path) -> None:
    store_paths = StorePaths.choose(home=tmp_path)
    study = optuna.create_study(study_name="bad", storage=store_paths.storage)
    study.set_user_attr("assay.study_id", "1d")
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    with Journal(store_paths.workspace.journal("bad")) as journal:
        journal.append(
            StudyOpened(study="bad", study_id="1d", experiment="e", provenance={}, text="", data={})
        )
        journal.append(TrialBegun(trial=0, seed=0, params={}, searched={}, origin="tpe"))
        journal.append(TrialEnded(trial=0, state="failed", reason="crashed"))
    with locked_study("bad", store_paths) as stored:
        ids = frozenset({"1d"})
        assert stored == StoredStudy("bad", in_optuna=True, trials=1, runs=(), study_ids=ids)
        delete_study(stored, store_paths)
    assert optuna_studies(store_paths) == []
    assert kept(store_paths) == []
    assert not (tmp_path / "mlflow.db").exists()


def test_other_studies_are_kept(store_paths: StorePaths) -> None:
    done = invoke(
        *SWEEP[:2],
        "--study",
        "other",
        "--trials",
        "1",
        "--epochs",
        "1",
        "--home",
        str(store_paths.workspace.path),
    )
    assert done.code == 0, done.err
    with locked_study(STUDY, store_paths) as stored:
        delete_study(stored, store_paths)
    assert optuna_studies(store_paths) == ["other"]
    assert active_runs(store_paths) == 2
    assert sorted(kept(store_paths)) == ["other", "other.jsonl", "other.tracked"]


class TestAnotherHomes:
    def test_a_study_in_a_shared_storage_is_refused(
        self, store_paths: StorePaths, tmp_path: Path
    ) -> None:
        elsewhere = StorePaths.choose(home=tmp_path / "elsewhere", storage=store_paths.storage)
        with (
            pytest.raises(RequestError, match="was run from another home"),
            locked_study(STUDY, elsewhere),
        ):
            pass
        assert optuna_studies(store_paths) == [STUDY]
        assert not (tmp_path / "elsewhere").exists()

    def test_runs_of_the_same_name_in_a_shared_mlflow_are_kept(
        self, store_paths: StorePaths, tmp_path: Path
    ) -> None:
        elsewhere = StorePaths.choose(
            home=tmp_path / "elsewhere", tracking_uri=store_paths.tracking_uri
        )
        optuna_of_elsewhere = tmp_path / "elsewhere"
        optuna_of_elsewhere.mkdir()
        optuna.create_study(study_name=STUDY, storage=elsewhere.storage)
        with locked_study(STUDY, elsewhere) as stored:
            assert stored == StoredStudy(STUDY, in_optuna=True, trials=0, runs=())
            delete_study(stored, elsewhere)
        assert active_runs(store_paths) == 6

    def test_a_study_in_a_moved_home_is_deleted(self, swept: Swept, tmp_path: Path) -> None:
        moved = StorePaths.choose(home=shutil.copytree(swept.home, tmp_path / "moved"))
        with locked_study(STUDY, moved) as stored:
            assert len(stored.runs) == 6

    def test_runs_in_another_mlflow_are_deleted(
        self, store_paths: StorePaths, tmp_path: Path
    ) -> None:
        other = StorePaths.choose(
            home=store_paths.workspace.path, tracking_uri=f"sqlite:///{tmp_path}/other.db"
        )
        with (
            pytest.raises(RequestError, match="name that store with --tracking-uri"),
            locked_study(STUDY, other),
        ):
            pass
        assert optuna_studies(store_paths) == [STUDY]
        assert (
            json.loads(store_paths.workspace.journal(STUDY).with_suffix(".tracked").read_text())[
                "offset"
            ]
            > 0
        )
