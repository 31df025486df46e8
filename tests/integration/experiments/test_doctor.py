"""`assay doctor` reports and repairs differences between the stores."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Run

from assay.experiments.maintenance.doctor import Diagnosis, diagnose
from assay.experiments.workspace import StorePaths
from assay.search.events import StudyClosed, TrialBegun, TrialEnded
from assay.search.journal import Journal, read_events
from assay.search.storage import opening
from assay.search.storage.opening import open_storage
from assay.search.storage.retrying import RetryingStorage
from assay.search.storage.stored_values import STATE
from assay.search.system.files import StudyLock
from tests.helpers.command import SWEEP, Swept, assay, invoke
from tests.helpers.recorded_studies import record_study

STUDY = "digits-mlp"


def found(diagnosis: Diagnosis) -> list[str]:
    return [str(difference) for difference in diagnosis.differences]


def parent_of(store_paths: StorePaths) -> Run:
    client = MlflowClient(store_paths.tracking_uri)
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    (parent,) = [run for run in client.search_runs(ids) if "assay.trial" not in run.data.tags]
    return parent


def run_of(store_paths: StorePaths, trial: int) -> Run:
    client = MlflowClient(store_paths.tracking_uri)
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = client.search_runs(ids, f"tags.`assay.trial` = '{trial}'")
    return run


def in_optuna(store_paths: StorePaths, statement: str) -> None:
    with sqlite3.connect(store_paths.workspace.path / "optuna.db") as database:
        assert database.execute(statement).rowcount > 0


def in_mlflow(store_paths: StorePaths, statement: str, *values: object) -> None:
    with sqlite3.connect(store_paths.workspace.path / "mlflow.db") as database:
        assert database.execute(statement, values).rowcount > 0


def files(store_paths: StorePaths) -> dict[Path, int]:
    return {
        path: path.stat().st_mtime_ns
        for path in store_paths.workspace.path.rglob("*")
        if path.is_file()
    }


def test_a_finished_sweep_is_consistent_and_doctor_writes_nothing(
    store_paths: StorePaths,
) -> None:
    before = files(store_paths)
    done = invoke("doctor", "--json", "--home", str(store_paths.workspace.path))
    assert (done.code, done.answer["differences"], done.answer["studies"]) == (0, [], 1)
    assert done.answer["trials"] >= 5
    assert files(store_paths) == before


def test_an_empty_home_is_consistent_and_stays_empty(tmp_path: Path) -> None:
    done = invoke("doctor", "--fix", "--home", str(tmp_path / "none"))
    assert (done.code, "no study was compared" in done.out) == (0, True)
    assert not (tmp_path / "none").exists()


def optuna_has_it_running(store_paths: StorePaths) -> str:
    in_optuna(store_paths, "UPDATE trials SET state = 'RUNNING' WHERE number = 2")
    return "trial 2: RUNNING in Optuna, but no process runs it"


def optuna_has_another_value(store_paths: StorePaths) -> str:
    run = run_of(store_paths, 0)
    in_optuna(store_paths, "UPDATE trial_values SET value = 0.125 WHERE trial_id = 1")
    return f"trial 0: value 0.125 in Optuna, {run.data.metrics['value']} in MLflow"


def somebody_else_failed_it(store_paths: StorePaths) -> str:
    in_optuna(
        store_paths, "DELETE FROM trial_user_attributes WHERE trial_id = 2 AND key = 'assay.state'"
    )
    in_optuna(store_paths, "UPDATE trials SET state = 'FAIL' WHERE trial_id = 2")
    return "trial 1: failed: unknown in Optuna, "


def it_failed_with_odd_words(store_paths: StorePaths) -> str:
    label = "failed: \0" + 6000 * "x" + "\udc80"
    odd = json.dumps(label)
    in_optuna(
        store_paths,
        f"UPDATE trial_user_attributes SET value_json = '{odd}' "
        f"WHERE trial_id = 2 AND key = '{STATE}'",
    )
    in_optuna(store_paths, "UPDATE trials SET state = 'FAIL' WHERE trial_id = 2")
    return f"trial 1: {label} in Optuna, "


def a_run_is_left_running(store_paths: StorePaths) -> str:
    run = run_of(store_paths, 1)
    MlflowClient(store_paths.tracking_uri).update_run(run.info.run_id, status="RUNNING")
    return f"trial 1: {run.data.tags[STATE]} in Optuna, RUNNING in MLflow"


def a_run_has_another_state(store_paths: StorePaths) -> str:
    run = run_of(store_paths, 1)
    MlflowClient(store_paths.tracking_uri).set_tag(run.info.run_id, STATE, "failed: <b>odd</b>")
    return f"trial 1: {run.data.tags[STATE]} in Optuna, tagged 'failed: <b>odd</b>' in MLflow"


def a_run_is_deleted(store_paths: StorePaths) -> str:
    run = run_of(store_paths, 3)
    MlflowClient(store_paths.tracking_uri).delete_run(run.info.run_id)
    return (
        f"trial 3: {run.data.tags[STATE]} in Optuna, no run in MLflow, "
        "a user deleted it: --fix restores it"
    )


def a_run_is_there_twice(store_paths: StorePaths) -> str:
    client, run = MlflowClient(store_paths.tracking_uri), run_of(store_paths, 3)
    twin = client.create_run(run.info.experiment_id, tags=dict(run.data.tags))
    client.set_terminated(twin.info.run_id)
    return f"trial 3: 2 runs in MLflow, {twin.info.run_id} beside {run.info.run_id}"


def the_study_has_two_runs(store_paths: StorePaths) -> str:
    client, parent = MlflowClient(store_paths.tracking_uri), parent_of(store_paths)
    info, tags = (
        parent.info,
        {name: value for name, value in parent.data.tags.items() if name != "mlflow.runName"},
    )
    twin = client.create_run(info.experiment_id, info.start_time, tags, info.run_name)
    client.set_terminated(twin.info.run_id)
    newest = client.search_runs([info.experiment_id], "tags.`assay.trial` LIKE '%'", max_results=1)[
        0
    ]
    client.set_tag(newest.info.run_id, "mlflow.parentRunId", twin.info.run_id)
    return f"2 runs in MLflow, {twin.info.run_id} among them"


def a_trial_is_below_a_run_that_is_gone(store_paths: StorePaths) -> str:
    gone = "0123456789abcdef" * 2
    MlflowClient(store_paths.tracking_uri).set_tag(
        run_of(store_paths, 1).info.run_id, "mlflow.parentRunId", gone
    )
    return (
        f"trial 1: below {gone} in MLflow, the study's run is {parent_of(store_paths).info.run_id}"
    )


def the_study_is_deleted(store_paths: StorePaths) -> str:
    MlflowClient(store_paths.tracking_uri).delete_run(parent_of(store_paths).info.run_id)
    return "no run in MLflow, a user deleted it: --fix restores it"


def a_parameter_is_another(store_paths: StorePaths) -> str:
    run_id = run_of(store_paths, 2).info.run_id
    in_mlflow(
        store_paths,
        "UPDATE params SET value = '77' WHERE key = 'batch_size' AND run_uuid = ?",
        run_id,
    )
    return "trial 2: batch_size = "


def points_are_missing(store_paths: StorePaths) -> str:
    run_id = run_of(store_paths, 2).info.run_id
    in_mlflow(
        store_paths,
        "DELETE FROM metrics WHERE key = 'val_loss' AND step > 1 AND run_uuid = ?",
        run_id,
    )
    return "trial 2: MLflow lacks val_loss of "


def a_point_is_another(store_paths: StorePaths) -> str:
    run_id = run_of(store_paths, 4).info.run_id
    in_mlflow(
        store_paths,
        "UPDATE metrics SET value = 9 WHERE key = 'loss' AND step = 1 AND run_uuid = ?",
        run_id,
    )
    return "trial 4: loss of epoch 1 in MLflow is not that of the journal"


def the_supervisor_died_at_its_very_end(store_paths: StorePaths) -> str:
    journal = store_paths.workspace.journal(STUDY)
    *lines, last = journal.read_text().splitlines(keepends=True)
    assert '"study_closed"' in last
    journal.write_text("".join(lines))
    return "not closed in the journal: its supervisor died"


def the_study_has_another_best(store_paths: StorePaths) -> str:
    client = MlflowClient(store_paths.tracking_uri)
    client.set_tag(parent_of(store_paths).info.run_id, "assay.best_trial", "77")
    return "best trial "


def the_study_has_another_status(store_paths: StorePaths) -> str:
    MlflowClient(store_paths.tracking_uri).set_terminated(
        parent_of(store_paths).info.run_id, "FAILED"
    )
    return "closed as finished in the journal, FAILED in MLflow"


def the_journal_lacks_a_trial(store_paths: StorePaths) -> str:
    state = run_of(store_paths, 1).data.tags[STATE]
    journal = store_paths.workspace.journal(STUDY)
    journal.write_text(
        "".join(
            line
            for line in journal.read_text().splitlines(keepends=True)
            if '"trial":1,' not in line
        )
    )
    return f"trial 1: {state} in Optuna, unknown in the journal"


@pytest.mark.parametrize(
    "harm",
    [
        optuna_has_it_running,
        optuna_has_another_value,
        somebody_else_failed_it,
        it_failed_with_odd_words,
        a_run_is_left_running,
        a_run_has_another_state,
        a_run_is_deleted,
        a_run_is_there_twice,
        the_study_has_two_runs,
        a_trial_is_below_a_run_that_is_gone,
        the_study_is_deleted,
        a_parameter_is_another,
        points_are_missing,
        a_point_is_another,
        the_supervisor_died_at_its_very_end,
        the_study_has_another_best,
        the_study_has_another_status,
        the_journal_lacks_a_trial,
    ],
    ids=lambda harm: harm.__name__,
)
def test_differences_are_reported_and_repaired(
    store_paths: StorePaths, harm: Callable[[StorePaths], str]
) -> None:
    what = harm(store_paths)
    told = found(diagnose(store_paths, fix=False))
    assert any(
        one.startswith(f"{STUDY}{' ' if what.startswith('trial') else ': '}{what}") for one in told
    ), told
    assert told == found(diagnose(store_paths, fix=False))
    mended = diagnose(store_paths, fix=True)
    assert found(mended) == []
    assert [str(one) for one in mended.repaired] == told
    assert found(diagnose(store_paths, fix=True)) == []


def test_a_missing_best_model_is_logged_again(store_paths: StorePaths) -> None:
    run_id, folder = parent_of(store_paths).info.run_id, store_paths.workspace.artifacts / "other"
    in_mlflow(
        store_paths, "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", folder.as_uri(), run_id
    )
    home = ("--home", str(store_paths.workspace.path))
    # In separate processes, since MLflow caches the artifact location.
    first, second, third = (assay("doctor", *more, *home) for more in ([], ["--fix"], []))
    assert (first.code, second.code, third.code) == (1, 0, 0), first.out + second.out + third.out
    assert "MLflow lacks the model of the best trial, " in first.out
    assert (folder / "model" / "data" / "model.keras").exists()


def test_repair_after_a_crash_at_the_end_records_the_best_trial(
    swept: Swept, store_paths: StorePaths
) -> None:
    the_supervisor_died_at_its_very_end(store_paths)
    client, run_id = MlflowClient(store_paths.tracking_uri), parent_of(store_paths).info.run_id
    for tag in ("assay.best_trial", "assay.best_run"):
        client.delete_tag(run_id, tag)
    assert found(diagnose(store_paths, fix=True)) == []
    best = swept.answer["best"]
    mended = parent_of(store_paths)
    assert (mended.data.tags["assay.best_trial"], mended.info.status) == (
        str(best["number"]),
        "KILLED",
    )
    assert mended.data.tags["assay.best_run"] == best["run_id"]
    done = invoke(
        *SWEEP, "--home", str(store_paths.workspace.path)
    )  # the second sweep finds nothing to train, and removes the model file
    assert (done.code, done.answer["trials"]) == (0, swept.answer["trials"]), done.err
    assert parent_of(store_paths).info.status == "FINISHED"
    (closed, _) = list(read_events(store_paths.workspace.journal(STUDY), only=[StudyClosed]))[-1]
    assert isinstance(closed, StudyClosed)
    assert closed.best[0].model is not None


def test_a_restored_run_has_all_data_of_the_original(store_paths: StorePaths) -> None:
    before = run_of(store_paths, 2)
    a_parameter_is_another(store_paths)
    diagnose(store_paths, fix=True)
    after = run_of(store_paths, 2)
    assert after.info.run_id != before.info.run_id
    assert (after.data.params, after.data.metrics) == (before.data.params, before.data.metrics)
    assert after.info.status == before.info.status
    client = MlflowClient(store_paths.tracking_uri)
    points: list[list[Metric]] = [
        client.get_metric_history(run.info.run_id, "val_loss") for run in (before, after)
    ]
    assert [(point.step, point.value) for point in points[0]] == [
        (point.step, point.value) for point in points[1]
    ]


def test_a_parameter_that_differs_in_optuna_is_not_repaired(store_paths: StorePaths) -> None:
    in_optuna(
        store_paths,
        "UPDATE trial_params SET param_value = 17 "
        "WHERE trial_id = 1 AND param_name = 'hidden_units'",
    )
    for _ in range(2):
        (told,) = found(diagnose(store_paths, fix=True))
        assert told.startswith("digits-mlp trial 0: hidden_units = 17 in Optuna, ")


def test_a_refusal_by_mlflow_is_reported(store_paths: StorePaths) -> None:
    journal = store_paths.workspace.journal(STUDY)
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    (early,) = [line for line in lines if (line.get("trial"), line.get("epoch")) == (2, 1)]
    early["time"] = -5.0
    journal.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    in_mlflow(
        store_paths,
        "DELETE FROM metrics WHERE step = 1 AND run_uuid = ?",
        run_of(store_paths, 2).info.run_id,
    )
    for _ in range(2):
        told = found(diagnose(store_paths, fix=True))
        assert len(told) == len(early["metrics"])
        for one in told:
            assert one.startswith(f"{STUDY} trial 2: MLflow lacks ")
            assert "of epoch 1, which it refused: Invalid value" in one


def test_an_irreparable_difference_is_still_reported(store_paths: StorePaths) -> None:
    with Journal(store_paths.workspace.journal(STUDY)) as journal:
        journal.append(TrialBegun(trial=90, seed=1, params={}, searched={}, origin="tpe"))
        journal.append(TrialEnded(trial=90, state="complete", values=(0.5,)))
        journal.append(StudyClosed(closing="finished"))
    done = invoke("doctor", "--fix", "--home", str(store_paths.workspace.path))
    assert done.code == 1
    assert "digits-mlp trial 90: in the journal and MLflow, not in Optuna" in done.out


def test_a_running_study_is_left_alone(store_paths: StorePaths) -> None:
    optuna_has_it_running(store_paths)
    with StudyLock(store_paths.workspace.journal(STUDY).with_suffix(".lock"), STUDY):
        done = invoke("doctor", "--fix", "--json", "--home", str(store_paths.workspace.path))
    assert (done.code, done.answer["studies"], done.answer["mended"]) == (0, 0, [])
    assert "is being run by process" in done.answer["busy"][STUDY]


def test_it_exits_with_1_until_repaired(
    store_paths: StorePaths, caplog: pytest.LogCaptureFixture
) -> None:
    optuna_has_it_running(store_paths)
    caplog.clear()
    home = ("--home", str(store_paths.workspace.path))
    first, second, third = (
        invoke("doctor", *home),
        invoke("doctor", "--fix", *home),
        invoke("doctor", *home),
    )
    assert (first.code, second.code, third.code) == (1, 0, 0)
    assert "run 'assay doctor --fix' to repair" in first.out
    assert "repaired: digits-mlp trial 2: RUNNING in Optuna" in second.out
    assert not [record for record in caplog.records if record.name.startswith("optuna")]


def test_duplicate_runs_of_the_study_are_merged(store_paths: StorePaths) -> None:
    before = parent_of(store_paths)
    the_study_has_two_runs(store_paths)
    home = ("--home", str(store_paths.workspace.path))
    assert [invoke("doctor", *more, *home).code for more in ([], ["--fix"], ["--fix"], [])] == [
        1,
        0,
        0,
        0,
    ]
    after = parent_of(store_paths)
    assert after.info.run_id == before.info.run_id
    for trial in range(5):
        assert run_of(store_paths, trial).data.tags["mlflow.parentRunId"] == before.info.run_id


def test_an_error_message_that_looks_like_a_report_restores_no_run(store_paths: StorePaths) -> None:
    client, run = MlflowClient(store_paths.tracking_uri), run_of(store_paths, 1)
    twin = client.create_run(run.info.experiment_id, tags=dict(run.data.tags))
    client.delete_run(twin.info.run_id)
    client.set_tag(run.info.run_id, STATE, "failed: there is no run in MLflow")
    assert found(diagnose(store_paths, fix=True)) == []
    assert client.get_run(twin.info.run_id).info.lifecycle_stage == "deleted"


def test_many_studies_share_one_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_paths = StorePaths.choose(home=tmp_path / "home")
    store_paths.workspace.create()
    for name in ("a", "b", "c"):
        record_study(store_paths, name, ["maximize val_accuracy"], [])
    opened: list[str] = []

    def count(url: str) -> RetryingStorage:
        opened.append(url)
        return open_storage(url)

    monkeypatch.setattr(opening, "open_storage", count)
    diagnose(store_paths, fix=False)
    assert opened == [store_paths.storage]
