"""`assay delete`: everything of a study and nothing of others, whenever it is stopped."""

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
from assay.experiments.maintenance.delete import Remains, delete, held
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError
from assay.search.events import StudyOpened, TrialBegun, TrialEnded
from assay.search.journal import Journal
from assay.search.system.files import StudyLock
from tests.experiments.conftest import ASSAY, SWEEP, Swept, assay

STUDY = "digits-mlp"


def optuna_studies(places: StorePaths) -> list[str]:
    return optuna.get_all_study_names(places.storage)


def active_runs(places: StorePaths) -> int:
    client = MlflowClient(places.tracking_uri)
    return len(client.search_runs([experiment.experiment_id for experiment in client.search_experiments()]))


def kept(places: StorePaths) -> list[str]:
    """Return what home has of the study: a lock that nobody holds is no part of it."""
    found = [*places.home.path.glob("journal/*"), *places.home.path.glob("models/*")]
    return [path.name for path in found if path.suffix != ".lock"]


def assert_gone(places: StorePaths) -> None:
    assert optuna_studies(places) == []
    assert active_runs(places) == 0
    assert kept(places) == []


def test_everything_of_the_study_goes_and_its_name_is_free(places: StorePaths) -> None:
    done = assay("delete", STUDY, "--yes", "--json", "--home", str(places.home.path))
    assert (done.code, done.answer) == (0, {"study": STUDY, "trials": 5, "runs": 6}), done.err
    assert_gone(places)
    again = assay(*SWEEP, "--home", str(places.home.path))
    assert again.code == 0, again.err
    assert again.answer["trials"]["complete"] + again.answer["trials"]["pruned"] == 5
    assert active_runs(places) == 6


def test_with_nobody_to_ask_it_says_what_would_go_and_deletes_nothing(places: StorePaths) -> None:
    done = assay("delete", STUDY, "--home", str(places.home.path))
    assert (done.code, done.out) == (2, "")
    assert "5 trials, 6 runs" in done.err
    assert f"delete {STUDY} --home {places.home.path} --yes" in done.err
    assert active_runs(places) == 6
    assert optuna_studies(places) == [STUDY]


@pytest.mark.parametrize(("answer", "code", "left"), [(b"n\n", 1, 6), (b"y\n", 0, 0)])
def test_on_a_terminal_it_asks(answer: bytes, code: int, left: int, places: StorePaths) -> None:
    ours, theirs = pty.openpty()
    command = [*ASSAY, "delete", STUDY, "--home", str(places.home.path)]
    process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.write(ours, answer)
    _, said = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == code
    assert f"delete study '{STUDY}': 5 trials, 6 runs in MLflow? [y/N]" in said
    assert active_runs(places) == left


def test_a_study_that_is_being_run_is_refused(places: StorePaths) -> None:
    with (
        StudyLock(places.home.journal(STUDY).with_suffix(".lock"), STUDY),
        pytest.raises(RequestError, match=r"is being run by process \d+ since .*: wait for that sweep, or end it"),
        held(STUDY, places),
    ):
        pass
    assert active_runs(places) == 6


class Death(Exception):
    """The process ends here."""


@pytest.mark.parametrize("step", ["third run", "optuna", "shelf"])
def test_a_death_in_the_middle_is_mended_by_the_same_command(
    step: str, places: StorePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise Death

    with held(STUDY, places) as remains:
        if step == "third run":
            delete_module.remove(places, remains.runs[:2])
        steps = {
            "third run": (delete_module, "remove"),
            "optuna": (optuna, "delete_study"),
            "shelf": (delete_module.ModelStore, "remove"),
        }
        with monkeypatch.context() as patch:
            patch.setattr(*steps[step], die)
            with pytest.raises(Death):
                delete(remains, places)
    assert places.home.journal(STUDY).exists()
    with held(STUDY, places) as remains:
        assert len(remains.runs) == (4 if step == "third run" else 0)
        delete(remains, places)
    assert_gone(places)


@pytest.mark.parametrize("lost", ["mlflow.db", "optuna.db", "journal", "mlflow.db optuna.db", "optuna.db journal"])
def test_it_works_when_only_some_of_it_is_left(lost: str, places: StorePaths) -> None:
    for name in lost.split():
        path = places.home.path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if lost == "journal":  # which home the study is of is known no more
        with pytest.raises(RequestError, match="another home"), held(STUDY, places):
            pass
        return
    with held(STUDY, places) as remains:
        delete(remains, places)
    assert kept(places) == []
    assert "optuna.db" in lost or optuna_studies(places) == []
    assert "mlflow.db" in lost or active_runs(places) == 0


def test_a_study_of_failures_that_was_never_tracked_can_be_deleted(tmp_path: Path) -> None:
    places = StorePaths.choose(home=tmp_path)
    study = optuna.create_study(study_name="bad", storage=places.storage)
    study.set_user_attr("assay.study_id", "1d")
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    with Journal(places.home.journal("bad")) as journal:
        journal.append(StudyOpened(study="bad", study_id="1d", experiment="e", provenance={}, text="", data={}))
        journal.append(TrialBegun(trial=0, seed=0, params={}, searched={}, origin="tpe"))
        journal.append(TrialEnded(trial=0, state="failed", reason="crashed"))
    with held("bad", places) as remains:
        assert remains == Remains("bad", in_optuna=True, trials=1, runs=())
        delete(remains, places)
    assert optuna_studies(places) == []
    assert kept(places) == []
    assert not (tmp_path / "mlflow.db").exists()


def test_other_studies_stay(places: StorePaths) -> None:
    done = assay(*SWEEP[:2], "--study", "other", "--trials", "1", "--epochs", "1", "--home", str(places.home.path))
    assert done.code == 0, done.err
    with held(STUDY, places) as remains:
        delete(remains, places)
    assert optuna_studies(places) == ["other"]
    assert active_runs(places) == 2
    assert sorted(kept(places)) == ["other", "other.jsonl", "other.tracked"]


class TestAnotherHomes:
    def test_a_study_in_a_shared_storage_is_refused(self, places: StorePaths, tmp_path: Path) -> None:
        elsewhere = StorePaths.choose(home=tmp_path / "elsewhere", storage=places.storage)
        with pytest.raises(RequestError, match="was run from another home"), held(STUDY, elsewhere):
            pass
        assert optuna_studies(places) == [STUDY]
        assert not (tmp_path / "elsewhere").exists()

    def test_runs_of_the_same_name_in_a_shared_mlflow_are_left_alone(self, places: StorePaths, tmp_path: Path) -> None:
        elsewhere = StorePaths.choose(home=tmp_path / "elsewhere", tracking_uri=places.tracking_uri)
        optuna_of_elsewhere = tmp_path / "elsewhere"
        optuna_of_elsewhere.mkdir()
        optuna.create_study(study_name=STUDY, storage=elsewhere.storage)
        with held(STUDY, elsewhere) as remains:
            assert remains == Remains(STUDY, in_optuna=True, trials=0, runs=())
            delete(remains, elsewhere)
        assert active_runs(places) == 6

    def test_a_home_that_was_moved_is_still_the_studys_own(self, swept: Swept, tmp_path: Path) -> None:
        moved = StorePaths.choose(home=shutil.copytree(swept.home, tmp_path / "moved"))
        with held(STUDY, moved) as remains:
            assert len(remains.runs) == 6

    def test_runs_in_another_mlflow_are_not_left_behind(self, places: StorePaths, tmp_path: Path) -> None:
        other = StorePaths.choose(home=places.home.path, tracking_uri=f"sqlite:///{tmp_path}/other.db")
        with pytest.raises(RequestError, match="name that store with --tracking-uri"), held(STUDY, other):
            pass
        assert optuna_studies(places) == [STUDY]
        assert json.loads(places.home.journal(STUDY).with_suffix(".tracked").read_text())["offset"] > 0
