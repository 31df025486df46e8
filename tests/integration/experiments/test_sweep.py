"""Results of a sweep, and what a second identical sweep does."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from mlflow import MlflowClient

from assay.experiments.workspace import StorePaths
from assay.search.events import EpochEnded, StudyClosed
from assay.search.journal import read_events
from tests.helpers.command import ASSAY, SWEEP, Swept, invoke
from tests.helpers.runs import optuna_trials, runs, trial_runs
from tests.helpers.waiting import GUARD_SECONDS, wait_until

TRIAL_PARAMS = {
    "family", "hidden_units", "hidden_layers", "activation", "dropout", "batch_norm", "l1", "l2",
    "initializer", "epochs", "batch_size", "learning_rate", "optimizer", "loss", "schedule",
    "warmup_epochs", "flip", "shift", "scale",
}  # fmt: skip


def client(swept: Swept) -> MlflowClient:
    return MlflowClient(swept.answer["tracking_uri"])


class TestWhatASweepLeaves:
    def test_the_json_answer_is_complete(self, swept: Swept) -> None:
        answer = swept.answer
        assert answer["study"] == answer["experiment"] == "digits-mlp"
        assert answer["trials"]["complete"] + answer["trials"]["pruned"] == 5
        assert answer["trials"]["failed"] == 0
        assert answer["tracking_uri"] == f"sqlite:///{swept.home / 'mlflow.db'}"
        assert set(answer["best"]) == {"number", "value", "params", "run_id"}
        assert set(answer["best"]["params"]) == {
            "hidden_units",
            "activation",
            "batch_size",
            "learning_rate",
        }

    def test_optuna_and_mlflow_agree_on_every_trial(self, swept: Swept) -> None:
        found = trial_runs(swept.home)
        trials = optuna_trials(swept.home)
        assert sorted(found) == [trial.number for trial in trials]
        for trial in trials:
            run = found[trial.number]
            assert run.info.run_name == f"trial-{trial.number:04d}"
            assert run.info.status == "FINISHED"
            assert run.data.tags["assay.state"] == trial.state.name.lower()
            assert run.data.metrics["value"] == pytest.approx(trial.value)
            assert {
                name: str(value) for name, value in trial.params.items()
            }.items() <= run.data.params.items()

    def test_the_best_trial_is_complete(self, swept: Swept) -> None:
        best = max(
            (trial for trial in optuna_trials(swept.home) if trial.state.name == "COMPLETE"),
            key=lambda trial: trial.value or 0.0,
        )
        assert swept.answer["best"]["value"] == best.value
        assert (
            swept.answer["best"]["run_id"]
            == trial_runs(swept.home)[swept.answer["best"]["number"]].info.run_id
        )

    def test_a_trials_run_has_the_whole_schema(self, swept: Swept) -> None:
        run = trial_runs(swept.home)[0]
        assert set(run.data.params) == TRIAL_PARAMS
        assert run.data.tags["mlflow.parentRunId"] == swept.answer["parent_run_id"]
        assert run.data.tags["assay.study"] == "digits-mlp"
        assert (
            int(run.data.tags["assay.seed"])
            == optuna_trials(swept.home)[0].user_attrs["assay.seed"]
        )
        assert set(run.data.metrics) == {
            "loss", "accuracy", "val_loss", "val_accuracy",
            "value", "epoch_seconds", "train_seconds", "peak_memory_bytes", "parameters",
        }  # fmt: skip
        assert run.data.metrics["parameters"] == 64 * 32 + 32 + 32 * 10 + 10

    def test_epoch_metrics_in_mlflow_equal_those_of_the_journal(self, swept: Swept) -> None:
        journal = swept.home / "journal" / "digits-mlp.jsonl"
        expected = {
            (event.trial, event.epoch): event.metrics["val_accuracy"]
            for event, _ in read_events(journal)
            if isinstance(event, EpochEnded)
        }
        tracked = {
            (number, point.step): point.value
            for number, run in trial_runs(swept.home).items()
            for point in client(swept).get_metric_history(run.info.run_id, "val_accuracy")
        }
        assert tracked == pytest.approx(expected)

    def test_the_parent_run_has_the_provenance_and_no_user_name(self, swept: Swept) -> None:
        parent = client(swept).get_run(swept.answer["parent_run_id"])
        tags = parent.data.tags
        assert parent.info.status == "FINISHED"
        assert {
            "assay.commit",
            "assay.dirty",
            "assay.version.keras",
            "assay.version.tensorflow",
        } <= set(tags)
        assert (tags["assay.backend"], tags["assay.device"], tags["assay.workers"]) == (
            "tensorflow",
            "cpu",
            "2",
        )
        assert (tags["assay.dataset"], tags["assay.dataset.verified"]) == ("digits", "yes")
        assert len(tags["assay.dataset.digest"]) == 64
        said = " ".join([*tags.values(), *parent.data.params.values()])
        for private in (os.uname().nodename, str(Path.home())):
            assert private not in said.split()
        assert "mlflow.user" not in tags
        files = {item.path for item in client(swept).list_artifacts(parent.info.run_id)}
        assert files == {
            *("experiment.toml", "resolved.toml", "data.json", "packages.txt"),
            "model",
        }

    def test_a_log_has_a_line_for_every_trial(self, swept: Swept) -> None:
        assert (
            sum(line.startswith("[") and "val_accuracy" in line for line in swept.err.splitlines())
            == 5
        )
        assert f"model: runs:/{swept.answer['parent_run_id']}/model" in swept.err
        assert f"assay ui digits-mlp --home {swept.home}" in swept.err


def test_a_repeated_sweep_reports_its_trials_and_trains_nothing(
    swept: Swept, store_paths: StorePaths
) -> None:
    home = store_paths.workspace.path
    before = (home / "optuna.db").read_bytes()
    done = invoke(*SWEEP, "--home", str(home))
    assert done.code == 0
    assert "5 of 5 done" in done.err
    assert "--trials 10 adds 5, --study NAME starts anew" in done.err
    changed = {"seconds": 0, "tracking_uri": store_paths.tracking_uri}
    assert {**done.answer, **changed} == {**swept.answer, **changed}
    assert len(trial_runs(home)) == 5
    assert before == (home / "optuna.db").read_bytes()


def test_a_study_with_another_fingerprint_is_refused_and_unchanged(store_paths: StorePaths) -> None:
    home = store_paths.workspace.path
    changes = ("--epochs", "9", "--set", "activation=relu")
    done = invoke("sweep", "digits-mlp", *changes, "--home", str(home))
    assert (done.code, done.out) == (2, "")
    (line,) = [line for line in done.err.splitlines() if line.startswith("assay: ")]
    assert "fixed epochs = 4, this asks for 9" in line
    assert "space activation" in line
    assert len(trial_runs(home)) == 5


def test_a_study_of_another_home_is_refused(store_paths: StorePaths, tmp_path: Path) -> None:
    home, storage = store_paths.workspace.path, store_paths.storage
    before = (home / "optuna.db").read_bytes()
    done = invoke(*SWEEP, "--trials", "9", "--home", str(tmp_path / "other"), "--storage", storage)
    assert done.code == 2
    assert "was run from another home" in done.err
    assert [trial.state.name for trial in optuna_trials(home)].count("RUNNING") == 0
    assert len(before) == len((home / "optuna.db").read_bytes())


def test_an_unreachable_tracking_store_leaves_no_study(tmp_path: Path) -> None:
    away = ("--tracking-uri", "http://assay:hunter2@127.0.0.1:9")
    done = invoke(
        *SWEEP, *away, "--home", str(tmp_path / "home"), MLFLOW_HTTP_REQUEST_MAX_RETRIES="0"
    )
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith(
        "assay: the tracking store http://***@127.0.0.1:9 can't be reached"
    )
    assert "hunter2" not in done.err
    assert not list((tmp_path / "home").glob("**/*.db"))


def test_a_repeated_sweep_completes_a_crash_at_the_end(
    swept: Swept, store_paths: StorePaths
) -> None:
    home = store_paths.workspace.path
    journal = home / "journal" / "digits-mlp.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    assert '"study_closed"' in lines[-1]
    journal.write_text("".join(lines[:-1]))
    (home / "journal" / "digits-mlp.tracked").unlink()
    done = invoke(*SWEEP, "--home", str(home))
    assert done.code == 0, done.err
    closed = [event for event, _ in read_events(journal)][-1]
    assert isinstance(closed, StudyClosed)
    assert [best.trial for best in closed.best] == [swept.answer["best"]["number"]]


def test_enqueued_configurations_precede_the_baseline(home: Path, tmp_path: Path) -> None:
    listed = [
        {"hidden_units": 9},
        {"hidden_units": 10, "activation": "tanh", "batch_size": 64, "learning_rate": 0.01},
    ]
    (tmp_path / "first.json").write_text(json.dumps(listed))
    done = invoke(
        "sweep", "digits-mlp", "--trials", "3", "--epochs", "1", "--workers", "1",
        "--home", str(home), "--enqueue", str(tmp_path / "first.json"), "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    first, second, third = (run for _, run in sorted(trial_runs(home).items()))
    assert first.data.params["hidden_units"] == "9"
    assert (second.data.params["hidden_units"], second.data.params["activation"]) == ("10", "tanh")
    assert [run.data.tags["assay.origin"] for run in (first, second, third)] == [
        "enqueued",
        "enqueued",
        "baseline",
    ]


def test_a_second_sweep_of_the_same_study_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    home = tmp_path / "home"
    arguments = ("sweep", "digits-mlp", "--trials", "50", "--epochs", "100", "--home", str(home))
    first = subprocess.Popen(
        [*ASSAY, *arguments], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        lock = home / "journal" / "digits-mlp.lock"
        wait_until(lambda: lock.exists() and lock.read_text().startswith("process"))
        second = invoke(*arguments)
        assert second.code == 2
        (line,) = second.err.splitlines()  # before the second sweep prepares anything
        assert line.startswith(
            f"assay: study 'digits-mlp' is being run by process {first.pid} since 20"
        )
    finally:
        first.terminate()
        first.wait(timeout=GUARD_SECONDS)


def test_a_single_run_is_tracked_with_its_provenance(home: Path) -> None:
    asked = ("--epochs", "2", "--set", "hidden_units=7")
    done = invoke("run", "digits-mlp", *asked, "--home", str(home), "--json")
    assert done.code == 0, done.err
    answer = done.answer
    assert set(answer) == {"run_id", "model", "params", "metrics", "preflight"}
    assert answer["preflight"]["input_shape"] == [8, 8, 1]
    assert answer["params"]["hidden_units"] == 7
    assert answer["params"]["activation"] == "sigmoid"  # of the baseline
    (run,) = runs(home)
    assert run.info.run_id == answer["run_id"]
    assert run.info.status == "FINISHED"
    assert run.data.tags["assay.state"] == "complete"
    assert run.data.tags["assay.dataset"] == "digits"
    assert run.data.metrics["val_accuracy"] == pytest.approx(answer["metrics"]["val_accuracy"])
    assert not list((home / "models").glob("*/*.keras"))
