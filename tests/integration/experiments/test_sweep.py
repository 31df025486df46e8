"""The main job as a user sees it: swept, tracked, resumed, interrupted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from assay.search.events import EpochEnded, StudyClosed, TrialEnded
from assay.search.journal import read
from tests.helpers.command import ASSAY, SWEEP, Swept, assay
from tests.helpers.runs import optuna_trials, runs, trial_runs
from tests.helpers.waiting import wait_until

TRIAL_PARAMS = {
    "family", "hidden_units", "hidden_layers", "activation", "dropout", "batch_norm", "l1", "l2", "initializer",
    "epochs", "batch_size", "learning_rate", "optimizer", "loss", "schedule", "warmup_epochs", "flip", "shift", "scale",
}  # fmt: skip


def client(swept: Swept) -> MlflowClient:
    return MlflowClient(swept.answer["tracking_uri"])


def unpruned(home: Path, trials: str, epochs: str) -> tuple[str, ...]:
    limits = ("--trials", trials, "--epochs", epochs, "--pruner", "none")
    return ("sweep", "digits-mlp", *limits, "--home", str(home), "--json")


def after_two_trials(arguments: tuple[str, ...]) -> subprocess.Popen[str]:
    """Start a sweep and return it once its second trial has ended."""
    sweep = subprocess.Popen(
        [*ASSAY, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert sweep.stderr is not None
    for line in sweep.stderr:
        if line.startswith("[2/"):
            break
    return sweep


class TestWhatASweepLeaves:
    def test_the_answer_has_everything_a_script_wants(self, swept: Swept) -> None:
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

    def test_optuna_and_mlflow_tell_the_same_story_of_every_trial(self, swept: Swept) -> None:
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

    def test_the_best_trial_is_the_best_complete_one(self, swept: Swept) -> None:
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

    def test_every_epochs_metrics_are_in_mlflow_as_they_are_in_the_journal(
        self, swept: Swept
    ) -> None:
        journal = swept.home / "journal" / "digits-mlp.jsonl"
        expected = {
            (event.trial, event.epoch): event.metrics["val_accuracy"]
            for event, _ in read(journal)
            if isinstance(event, EpochEnded)
        }
        tracked = {
            (number, point.step): point.value
            for number, run in trial_runs(swept.home).items()
            for point in client(swept).get_metric_history(run.info.run_id, "val_accuracy")
        }
        assert tracked == pytest.approx(expected)

    def test_the_parent_carries_the_provenance_and_names_nobody(self, swept: Swept) -> None:
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
        assert files == {"experiment.toml", "data.json", "model"}

    def test_the_best_model_is_one_artifact_that_gives_the_trials_own_accuracy(
        self, swept: Swept, tmp_path: Path
    ) -> None:
        stored = list((swept.home / "artifacts").rglob("*.keras"))
        assert len(stored) == 1
        script = """
import json, sys, mlflow, numpy as np
uri, run, folder = sys.argv[1:]
mlflow.set_tracking_uri(uri)
model = mlflow.keras.load_model(f"runs:/{run}/model")
signature = mlflow.models.get_model_info(f"runs:/{run}/model").signature
x, y = np.load(folder + "/x_validation.npy"), np.load(folder + "/y_validation.npy")
right = model.predict(x.astype("float32") / 16, verbose=0).argmax(1) == y
generic = mlflow.pyfunc.load_model(f"runs:/{run}/model").predict(x.astype("float32") / 16)
assert np.allclose(generic, model.predict(x.astype("float32") / 16, verbose=0), atol=1e-5)
print(json.dumps([float(right.mean()), signature.inputs.to_dict()[0]["tensor-spec"]["shape"]]))
"""
        (folder,) = [path.parent for path in (swept.home / "data").glob("*/meta.json")]
        done = subprocess.run(
            [sys.executable, "-c", script, swept.answer["tracking_uri"], swept.answer["parent_run_id"], str(folder)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        accuracy, shape = json.loads(done.stdout.splitlines()[-1])
        assert accuracy == pytest.approx(swept.answer["best"]["value"], abs=1e-6)
        assert shape == [-1, 8, 8, 1]

    def test_a_log_has_a_line_for_every_trial(self, swept: Swept) -> None:
        assert (
            sum(line.startswith("[") and "val_accuracy" in line for line in swept.err.splitlines())
            == 5
        )
        assert f"model: runs:/{swept.answer['parent_run_id']}/model" in swept.err
        assert f"assay ui digits-mlp --home {swept.home}" in swept.err


def test_asked_again_it_says_what_it_found_and_trains_nothing(swept: Swept) -> None:
    before = (swept.home / "optuna.db").read_bytes()
    done = assay(*SWEEP, "--home", str(swept.home))
    assert done.code == 0
    assert "5 of 5 done" in done.err
    assert "--trials 10 adds 5, --study NAME starts anew" in done.err
    assert {**done.answer, "seconds": 0} == {**swept.answer, "seconds": 0}
    assert len(trial_runs(swept.home)) == 5
    assert before == (swept.home / "optuna.db").read_bytes()


def test_a_study_of_another_identity_is_refused_and_left_alone(swept: Swept) -> None:
    done = assay(
        "sweep",
        "digits-mlp",
        "--epochs",
        "9",
        "--set",
        "activation=relu",
        "--home",
        str(swept.home),
    )
    assert done.code == 2
    assert done.out == ""
    (line,) = [line for line in done.err.splitlines() if line.startswith("assay: ")]
    assert "fixed epochs = 4, this asks for 9" in line
    assert "space activation" in line
    assert len(trial_runs(swept.home)) == 5


def test_a_study_that_was_run_from_another_home_is_left_to_it(swept: Swept, tmp_path: Path) -> None:
    storage = f"sqlite:///{swept.home / 'optuna.db'}"
    before = (swept.home / "optuna.db").read_bytes()
    done = assay(*SWEEP, "--trials", "9", "--home", str(tmp_path / "home"), "--storage", storage)
    assert done.code == 2
    assert "was run from another home" in done.err
    assert [trial.state.name for trial in optuna_trials(swept.home)].count("RUNNING") == 0
    assert len(before) == len((swept.home / "optuna.db").read_bytes())


def test_a_tracking_store_that_does_not_answer_leaves_no_study(tmp_path: Path) -> None:
    away = ("--tracking-uri", "http://assay:hunter2@127.0.0.1:9")
    done = assay(
        *SWEEP, *away, "--home", str(tmp_path / "home"), MLFLOW_HTTP_REQUEST_MAX_RETRIES="0"
    )
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith(
        "assay: the tracking store http://***@127.0.0.1:9 can't be reached"
    )
    assert "hunter2" not in done.err
    assert not list((tmp_path / "home").glob("**/*.db"))


def test_with_one_worker_and_one_seed_the_same_trials_and_numbers_come_twice(
    tmp_path: Path,
) -> None:
    curves = []
    for home in (tmp_path / "first", tmp_path / "second"):
        done = assay(*SWEEP, "--workers", "1", "--trials", "4", "--home", str(home))
        assert done.code == 0, done.err
        curves.append(
            [
                (event.trial, event.epoch, event.metrics)
                for event, _ in read(home / "journal" / "digits-mlp.jsonl")
                if isinstance(event, EpochEnded)
            ]
        )
    assert len(curves[0]) > 4
    assert curves[0] == curves[1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_sweep_that_is_asked_to_stop_goes_on_where_it_was(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    home = tmp_path / "home"
    arguments = unpruned(home, trials="6", epochs="150")
    sweep = after_two_trials(arguments)
    sweep.send_signal(number)
    began = time.monotonic()
    out, _ = sweep.communicate(timeout=20)
    assert sweep.returncode == code
    assert time.monotonic() - began < {130: 5, 143: 25}[code]
    stopped = json.loads(out.splitlines()[-1])
    assert stopped["trials"]["failed"] >= 1
    interrupted = {
        n
        for n, run in trial_runs(home).items()
        if run.data.tags["assay.state"] == "failed: interrupted"
    }
    assert len(interrupted) == stopped["trials"]["failed"]
    assert {run.info.status for n, run in trial_runs(home).items() if n in interrupted} == {
        "KILLED"
    }

    done = assay(*arguments)
    assert done.code == 0, done.err
    assert done.answer["trials"]["complete"] == 6
    assert all(f"(redo of {number}) complete" in done.err for number in interrupted)
    assert {run.info.status for run in runs(home)} == {"FINISHED", "KILLED"}
    redone = [
        run for run in runs(home) if run.data.tags.get("assay.origin", "").startswith("redo of ")
    ]
    assert {
        int(run.data.tags["assay.origin"].removeprefix("redo of ")) for run in redone
    } == interrupted
    first = {n: run.data for n, run in trial_runs(home).items()}
    for run in redone:
        before = first[int(run.data.tags["assay.origin"].removeprefix("redo of "))]
        assert (run.data.params, run.data.tags["assay.seed"]) == (
            before.params,
            before.tags["assay.seed"],
        )


def test_a_supervisor_that_is_killed_loses_no_finished_trial(tmp_path: Path) -> None:
    home = tmp_path / "home"
    arguments = unpruned(home, trials="5", epochs="100")
    sweep = after_two_trials(arguments)
    sweep.kill()
    sweep.wait()
    # The journal is written first, so what it says ended must survive even if nobody else was told yet.
    ends = [
        event
        for event, _ in read(home / "journal" / "digits-mlp.jsonl")
        if isinstance(event, TrialEnded)
    ]
    finished = {end.trial: end.value for end in ends}
    assert len(finished) >= 2
    done = assay(*arguments)
    assert done.code == 0, done.err
    trials = {trial.number: trial for trial in optuna_trials(home)}
    assert {number: trials[number].value for number in finished} == finished
    assert all(trial.state.name in ("COMPLETE", "FAIL") for trial in trials.values())
    found = trial_runs(home)
    assert sorted(found) == sorted(trials)
    assert "RUNNING" not in {run.info.status for run in runs(home)}


def test_a_supervisor_that_dies_at_the_very_end_is_mended_by_asking_again(
    swept: Swept, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(swept.home, home)
    journal = home / "journal" / "digits-mlp.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    assert '"study_closed"' in lines[-1]
    journal.write_text("".join(lines[:-1]))
    (home / "journal" / "digits-mlp.tracked").unlink()
    done = assay(*SWEEP, "--home", str(home))
    assert done.code == 0, done.err
    closed = [event for event, _ in read(journal)][-1]
    assert isinstance(closed, StudyClosed)
    assert [best.trial for best in closed.best] == [swept.answer["best"]["number"]]


def test_enqueued_configurations_come_first_and_then_the_baseline(tmp_path: Path) -> None:
    listed = [
        {"hidden_units": 9},
        {"hidden_units": 10, "activation": "tanh", "batch_size": 64, "learning_rate": 0.01},
    ]
    (tmp_path / "first.json").write_text(json.dumps(listed))
    home = tmp_path / "home"
    done = assay(
        "sweep", "digits-mlp", "--trials", "3", "--epochs", "1", "--workers", "1", "--home", str(home),
        "--enqueue", str(tmp_path / "first.json"), "--json",
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
        second = assay(*arguments)
        assert second.code == 2
        (line,) = second.err.splitlines()  # before anything is made ready
        assert line.startswith(
            f"assay: study 'digits-mlp' is being run by process {first.pid} since 20"
        )
    finally:
        first.terminate()
        first.wait(timeout=20)


def test_a_single_run_is_tracked_with_its_provenance(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = assay(
        "run",
        "digits-mlp",
        "--epochs",
        "2",
        "--set",
        "hidden_units=7",
        "--home",
        str(home),
        "--json",
    )
    assert done.code == 0, done.err
    answer = done.answer
    assert set(answer) == {"run_id", "params", "metrics"}
    assert answer["params"]["hidden_units"] == 7
    assert answer["params"]["activation"] == "sigmoid"  # the baseline's
    (run,) = runs(home)
    assert run.info.run_id == answer["run_id"]
    assert run.info.status == "FINISHED"
    assert run.data.tags["assay.state"] == "complete"
    assert run.data.tags["assay.dataset"] == "digits"
    assert run.data.metrics["val_accuracy"] == pytest.approx(answer["metrics"]["val_accuracy"])
    assert not list((home / "models").glob("*/*.keras"))


def test_a_single_run_that_is_killed_is_settled_by_the_next_command(tmp_path: Path) -> None:
    home = tmp_path / "home"
    run = subprocess.Popen([*ASSAY, "run", "digits-mlp", "--epochs", "5000", "--home", str(home)])
    journals = home / "journal"
    while not any("epoch_ended" in path.read_text() for path in journals.glob("run-*.jsonl")):
        assert run.poll() is None
        time.sleep(0.1)
    run.kill()
    run.wait()
    assert assay("run", "digits-mlp", "--epochs", "1", "--home", str(home)).code == 0
    assert sorted(found.info.status for found in runs(home)) == ["FINISHED", "KILLED"]


@pytest.mark.real_data
@pytest.mark.parametrize("experiment", ["mnist-mlp", "cifar10-cnn"])
def test_a_short_sweep_on_real_images(experiment: str, real_data: Path, tmp_path: Path) -> None:
    small = ["--set", "filters=4", "--set", "batch_size=256"] if experiment == "cifar10-cnn" else []
    done = assay(
        "sweep", experiment, "--trials", "2", "--epochs", "1", "--workers", "2", *small,
        "--home", str(tmp_path / "home"), "--data-dir", str(real_data), "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.answer["best"]["value"] > {"mnist-mlp": 0.85, "cifar10-cnn": 0.2}[experiment]
    verified = {
        run.data.tags["assay.dataset.verified"][:3]
        for run in runs(tmp_path / "home")
        if "assay.dataset" in run.data.tags
    }
    assert verified == {"yes" if experiment == "mnist-mlp" else "no:"}
