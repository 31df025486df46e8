"""The journal is passed on to a real MLflow store."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.validation import _validate_metric_name

from assay.experiments.tracking import follower
from assay.experiments.tracking.cursor import Cursor
from assay.experiments.tracking.follower import MlflowTracker
from assay.experiments.tracking.schema import encode_name
from assay.experiments.tracking.store import open_client
from assay.models.errors import RequestError
from assay.search.events import EpochEnded, StudyClosed, TrialBegun, TrialEnded
from assay.search.journal import Journal
from tests.helpers.tracking import BEST, STORY, opened, snapshot, tell, tracked, trial


def test_every_trial_ends_in_a_state_of_the_schema(tmp_path: Path, store: str) -> None:
    tell(tmp_path, store, STORY)
    states = {
        run[0]: (run[1], dict(run[5])["assay.state"])
        for run in snapshot(store)
        if run[0] != "study"
    }  # type: ignore[call-overload]
    assert states == {
        "trial-0000": ("FINISHED", "complete"),
        "trial-0001": ("FINISHED", "pruned"),
        "trial-0002": ("FAILED", "failed: crashed (SIGKILL)"),
        "trial-0003": ("KILLED", "failed: interrupted"),
        "trial-0004": ("FAILED", "failed: diverged"),
    }


@pytest.mark.parametrize("lookups", [0, 2, 100])
def test_replaying_the_journal_changes_nothing(
    tmp_path: Path, store: str, lookups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assay.experiments.tracking.runs._MAX_LOOKUPS", lookups)
    tell(tmp_path, store, STORY)
    once = snapshot(store)
    (tmp_path / "journal.tracked").unlink()
    tell(tmp_path, store, [])
    assert snapshot(store) == once
    assert sum(len(run[6]) for run in once) == 14  # type: ignore[arg-type, misc]


@pytest.mark.parametrize("cut", range(1, len(STORY), 3))
def test_a_tracker_continues_from_any_event(tmp_path: Path, store: str, cut: int) -> None:
    tell(tmp_path, store, STORY[:cut])
    tell(tmp_path, store, STORY[cut:])
    resumed = snapshot(store)
    assert [run[0] for run in resumed] == ["study", *(f"trial-000{number}" for number in range(5))]
    assert sum(len(run[6]) for run in resumed) == 14  # type: ignore[arg-type, misc]
    assert "RUNNING" not in {run[1] for run in resumed}


def test_the_number_of_calls_on_resume_does_not_depend_on_the_number_of_runs(
    tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    search = MlflowClient.search_runs

    def noted(*arguments: Any, **named: Any) -> Any:
        asked.append(named["filter_string"])
        return search(*arguments, **named)

    tell(tmp_path, store, [opened()])
    monkeypatch.setattr(MlflowClient, "search_runs", noted)
    each = []
    for session in range(3):
        asked.clear()
        numbers = range(4 * session, 4 * session + 4)
        ended = [TrialEnded(trial=number, state="complete", values=(0.9,)) for number in numbers]
        tell(
            tmp_path,
            store,
            [opened(), *(event for end in ended for event in trial(end.trial, end))],
        )
        each.append(len(asked))
    assert each == [1, 1, 1]


def test_what_a_study_shows_is_replaced_when_it_is_closed_again(tmp_path: Path, store: str) -> None:
    first, second = {"assay.claim": "0.5", "assay.checks": "one"}, {"assay.claim": "0.9"}
    closed = [StudyClosed(closing="interrupted", best=BEST, tags=tags) for tags in (first, second)]
    tell(tmp_path, store, [*STORY[:-1], closed[0]])
    tell(tmp_path, store, [opened(), closed[1]])
    (parent,) = [dict(run[5]) for run in snapshot(store) if run[0] == "study"]  # type: ignore[call-overload]
    assert (parent["assay.claim"], parent["assay.checks"]) == ("0.9", "one")


def test_a_resumed_study_keeps_the_provenance_of_earlier_sessions(
    tmp_path: Path, store: str
) -> None:
    first, second = (
        {"assay.commit": "abc", "assay.workers": "2", "assay.preflight": '{"not_used": []}'},
        {"assay.commit": "def", "assay.workers": "2", "assay.preflight": '{"not_used": ["x"]}'},
    )
    tell(
        tmp_path,
        store,
        [opened(**first), *STORY[1:6], StudyClosed(closing="interrupted", best=BEST)],
    )
    tell(tmp_path, store, [opened(**second), *STORY[6:]])
    tell(tmp_path, store, [opened(**second), StudyClosed(closing="finished", best=BEST)])
    (parent,) = [dict(run[5]) for run in snapshot(store) if run[0] == "study"]  # type: ignore[call-overload]
    assert parent["assay.commit"] == "abc | def"
    assert parent["assay.workers"] == "2"
    assert json.loads(parent["assay.preflight"]) == {"not_used": ["x"]}, "the latest, as JSON"


def test_studies_of_the_same_name_in_two_homes_are_separate_in_one_store(
    tmp_path: Path, store: str
) -> None:
    for study_id in ("one", "two"):
        (tmp_path / study_id).mkdir()
        tell(tmp_path / study_id, store, [opened(study_id=study_id), *STORY[1:]])
    names = [run[0] for run in snapshot(store)]
    assert names == sorted(2 * ["study", *(f"trial-000{number}" for number in range(5))])


def runs_named(store: str, name: str) -> Sequence[Run]:
    client = MlflowClient(store)
    ids = [found.experiment_id for found in client.search_experiments()]
    runs: Sequence[Run] = client.search_runs(ids, f"attributes.run_name = '{name}'")
    return runs


@pytest.mark.parametrize("deleted", ["trial-0000", "study"])
@pytest.mark.parametrize("cut", [4, 6])
def test_deleted_runs_stay_deleted(tmp_path: Path, store: str, deleted: str, cut: int) -> None:
    tell(tmp_path, store, STORY[:cut])
    (run,) = runs_named(store, deleted)
    MlflowClient(store).delete_run(run.info.run_id)
    tell(tmp_path, store, STORY[cut:])
    tell(tmp_path, store, [opened(), StudyClosed(closing="finished", best=BEST)])
    everybody = ["study", *(f"trial-000{number}" for number in range(5))]
    assert [run[0] for run in snapshot(store)] == [name for name in everybody if name != deleted]


@pytest.mark.parametrize("deleted", ["trial-0000", "study"])
def test_a_run_deleted_during_tracking_does_not_stop_the_tracker(
    tmp_path: Path, store: str, deleted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assay.experiments.tracking.follower._GATHER_SECONDS", 0.0)
    with tracked(tmp_path, store) as journal:
        for event in STORY[:4]:
            journal.append(event)
        while not (known := runs_named(store, "trial-0000")):
            time.sleep(0.02)
        ours = known if deleted != "study" else runs_named(store, "study")
        MlflowClient(store).delete_run(ours[0].info.run_id)
        for event in STORY[4:]:
            journal.append(event)
    everybody = ["study", *(f"trial-000{number}" for number in range(5))]
    assert [run[0] for run in snapshot(store)] == [name for name in everybody if name != deleted]


@pytest.mark.parametrize("which", ["oldest", "newest"])
def test_a_deleted_duplicate_run_of_the_study_is_ignored(
    tmp_path: Path, store: str, which: str
) -> None:
    tell(tmp_path, store, STORY[:6])
    client, (ours,) = MlflowClient(store), runs_named(store, "study")
    start = ours.info.start_time + (1 if which == "newest" else -1)
    tags = {name: value for name, value in ours.data.tags.items() if name != "mlflow.runName"}
    twin = client.create_run(ours.info.experiment_id, start, tags, "study")
    (child,) = runs_named(store, "trial-0000")
    client.set_tag(child.info.run_id, "mlflow.parentRunId", twin.info.run_id)
    client.delete_run(twin.info.run_id)
    tell(tmp_path, store, [opened(), *STORY[6:]])
    assert [run.info.run_id for run in runs_named(store, "study")] == [ours.info.run_id]


@pytest.mark.parametrize("lookups", [0, 100])
def test_a_deleted_duplicate_run_of_a_trial_is_ignored(
    tmp_path: Path, store: str, lookups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assay.experiments.tracking.runs._MAX_LOOKUPS", lookups)
    tell(tmp_path, store, STORY[:4])
    client, (ours,) = MlflowClient(store), runs_named(store, "trial-0000")
    for after in (-1, 1):
        tags = {name: value for name, value in ours.data.tags.items() if name != "mlflow.runName"}
        twin = client.create_run(
            ours.info.experiment_id, ours.info.start_time + after, tags, "trial-0000"
        )
        client.delete_run(twin.info.run_id)
    tell(tmp_path, store, STORY[4:])
    assert {run[1] for run in snapshot(store)} == {"FINISHED", "FAILED", "KILLED"}


def test_a_store_whose_creation_was_killed_is_created_again(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    script = f"from assay.experiments.tracking.store import open_client; open_client({uri!r})"
    making = subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    while not any(file.stat().st_size for file in tmp_path.glob(".mlflow-*/tables.db")):
        assert making.poll() is None
    making.kill()
    making.wait()
    assert not (tmp_path / "mlflow.db").exists()
    assert open_client(uri).search_experiments()


def test_another_store_gets_the_whole_journal(
    tmp_path: Path, store: str, empty_store: Path
) -> None:
    tell(tmp_path, store, STORY)
    shutil.copy(empty_store, tmp_path / "other.db")
    other = f"sqlite:///{tmp_path / 'other.db'}"
    tell(tmp_path, other, [])
    assert snapshot(other) == snapshot(store)


def test_a_store_that_lost_the_study_gets_the_whole_journal_again(
    tmp_path: Path, store: str, empty_store: Path
) -> None:
    tell(tmp_path, store, STORY)
    before = snapshot(store)
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    tell(tmp_path, store, [])
    assert snapshot(store) == before


@pytest.mark.parametrize(
    "name", ["it's", 'say "hi"', "a`b", "<script>alert(1)</script>", "../../up", "naïve 🧪", "%"]
)
def test_a_study_may_have_any_name(tmp_path: Path, store: str, name: str) -> None:
    tell(tmp_path, store, [opened(name), *STORY[1:4]])
    tell(tmp_path, store, [opened(name), *STORY[4:]])
    runs = snapshot(store)
    assert [run[0] for run in runs] == sorted(
        [name, *(f"trial-000{number}" for number in range(5))]
    )
    assert not list(tmp_path.parent.glob("up*"))


def test_a_single_run_has_the_provenance_and_no_parent(tmp_path: Path, store: str) -> None:
    tell(tmp_path, store, [opened(None), *STORY[1:6], StudyClosed(closing="finished", best=BEST)])
    ((name, status, *_, tags, _, _),) = snapshot(store)
    assert (name, status) == ("run", "FINISHED")
    assert dict(tags)["assay.objective"] == "maximize val_accuracy"  # type: ignore[call-overload]
    assert "mlflow.parentRunId" not in dict(tags)  # type: ignore[call-overload]


def test_a_store_that_cannot_be_opened_is_a_request_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracker = MlflowTracker(tmp_path / "journal.jsonl", "http://127.0.0.1:9", tmp_path)
    tracker.start()
    with pytest.raises(RequestError, match="can't be reached"):
        tracker.wait_until_open()


def test_a_name_that_mlflow_refuses_is_encoded() -> None:
    names = [
        "recall@5",
        "recall#5",
        "top<5>",
        "",
        ".",
        "..",
        "../up",
        "/a",
        "a//b",
        "a/",
        "\0",
        "\ud800",
        "💥",
        "x" * 251,
    ]
    for name in names:
        _validate_metric_name(encode_name(name))
        assert len(encode_name(name)) <= 250
    assert len({encode_name(name) for name in names}) == len(names)
    assert encode_name("recall@5").startswith("recall_5")


@pytest.mark.parametrize("name", ["val_accuracy", "a/b.c-d e:f", "größe", "x" * 250])
def test_a_name_that_mlflow_accepts_is_unchanged(name: str) -> None:
    _validate_metric_name(name)
    assert encode_name(name) == name


def test_odd_names_and_lone_surrogates_are_tracked(tmp_path: Path, store: str) -> None:
    odd = {"recall@5": 0.5, "recall#5": 0.25}
    begun = TrialBegun(trial=0, seed=1, params={"w@rd": "\ud800"}, searched={}, origin="tpe")
    end = TrialEnded(
        trial=0, state="failed", reason="half a \udc80", error="\ud800 and \0", metrics=odd
    )
    story = [
        opened(),
        begun,
        EpochEnded(trial=0, epoch=1, metrics=odd, seconds=0.1),
        end,
        *STORY[6:],
    ]
    tell(tmp_path, store, story)
    (run,) = [run for run in snapshot(store) if run[0] == "trial-0000"]
    assert sorted(point[2] for point in run[6]) == [0.25, 0.25, 0.5, 0.5]  # type: ignore[attr-defined]
    assert run[4] == [(encode_name("w@rd"), "\\ud800")]
    tags = dict(run[5])  # type: ignore[call-overload]
    assert (tags["assay.state"], tags["assay.error"]) == (
        "failed: half a \\udc80",
        "\\ud800 and \\x00",
    )


def test_data_that_mlflow_refuses_is_reported_on_the_run(tmp_path: Path, store: str) -> None:
    early = EpochEnded(
        trial=0, epoch=1, metrics={"loss": 1.0, "accuracy": 0.5}, seconds=0.1, time=-5.0
    )
    events = [*STORY[:2], early, *STORY[3:]]
    tell(tmp_path, store, events)
    runs = {str(run[0]): run for run in snapshot(store)}
    assert "RUNNING" not in {run[1] for run in runs.values()}
    assert [(point[0], point[1]) for point in runs["trial-0000"][6]] == [  # type: ignore[attr-defined]
        ("loss", 2),
        ("loss", 3),
        ("parameters", 0),
        ("value", 0),
    ]
    assert runs["trial-0000"][4], "the parameters were in the same call"
    refused = dict(runs["trial-0000"][5])["assay.refused"].splitlines()  # type: ignore[call-overload]
    assert [line.partition(": ")[0] for line in refused] == ["metric loss", "metric accuracy"]
    assert all("nonnegative" in line for line in refused)
    once = snapshot(store)
    (tmp_path / "journal.tracked").unlink()
    tell(tmp_path, store, [])
    assert snapshot(store) == once


@pytest.mark.parametrize("study", ["study", None])
def test_a_tag_is_truncated_to_the_limit_of_mlflow(
    tmp_path: Path, store: str, study: str | None
) -> None:
    tell(tmp_path, store, [opened(study, **{"assay.title": "\0" + 9000 * "x"}), *STORY[1:6]])
    (title,) = [
        tags["assay.title"] for run in snapshot(store) if "assay.title" in (tags := dict(run[5]))
    ]  # type: ignore[call-overload]
    assert title == "\\x00" + 7996 * "x"


@pytest.mark.parametrize("study", ["study", None])
def test_what_is_stored_in_part_is_named_on_the_run(
    tmp_path: Path, store: str, study: str | None
) -> None:
    begun = TrialBegun(
        trial=0,
        seed=1,
        params={"long": 6001 * "x", "list": ["y"] * 2000, "fits": 6000 * "z"},
        searched={},
        origin="run",
    )
    ended = TrialEnded(trial=0, state="failed", reason=6000 * "r", error=9000 * "e" + "last line")
    title = {"assay.title": 8001 * "t", "assay.source": 8000 * "s"}
    tell(tmp_path, store, [opened(study, **title), begun, ended, StudyClosed(closing="failed")])
    notes = [
        line
        for run in snapshot(store)
        for line in dict(run[5]).get("assay.refused", "").splitlines()  # type: ignore[call-overload]
    ]
    only = "too long, only its {} {} of {} characters are stored"
    assert sorted(notes) == [
        f"parameter list: {only.format('first', '6,000', '10,000')}",
        f"parameter long: {only.format('first', '6,000', '6,001')}",
        f"tag assay.error: {only.format('last', '5,000', '9,009')}",
        f"tag assay.state: {only.format('first', '5,000', '6,008')}",
        f"tag assay.title: {only.format('first', '8,000', '8,001')}",
    ]
    once = snapshot(store)
    (tmp_path / "journal.tracked").unlink()
    tell(tmp_path, store, [])
    assert snapshot(store) == once


@pytest.mark.parametrize("content", ["", "{}", "[]", '"text"', "{", '{"tracking_uri": "other"}'])
def test_a_cursor_that_cannot_be_read_begins_at_the_start(content: str, tmp_path: Path) -> None:
    path = tmp_path / "study.tracked"
    path.write_text(content)
    assert Cursor(path, "sqlite:///mlflow.db").offset == 0


def test_who_waits_for_mlflow_does_not_wait_until_events_are_gathered(
    tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "_GATHER_SECONDS", 3_600.0)
    with Journal(tmp_path / "journal.jsonl") as journal:
        tracker = MlflowTracker(journal.path, store, tmp_path / "artifacts")
        journal.subscribe(tracker.on_event)
        tracker.start()
        tracker.wait_until_open()
        for event in STORY:
            journal.append(event)
            time.sleep(0.05)  # the tracker passes it on, and gathers
            journal.append(opened())  # comes while it gathers
            assert tracker.flush(60) is None
        assert tracker.close(hurry=False) is None
