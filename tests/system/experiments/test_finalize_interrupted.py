"""`assay finalize` that is interrupted or killed: what is trained again, and what counts."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from assay import load_study
from assay.experiments.decision import finalize as finalizing
from assay.search.events import FinalistTested, TestSetOpened, TrialBegun, TrialEnded
from tests.helpers.command import invoke
from tests.helpers.runs import runs
from tests.helpers.stub_finalize import (
    Decided,
    decided,
    events,
    finalist_training,
    finalized,
    journal,
    searched,
    sweep,
)

__all__ = ["decided", "finalist_training", "searched"]  # fixtures

pytestmark = pytest.mark.usefixtures("finalist_training")


def test_a_worker_that_dies_in_a_test_measures_again(searched: Path, tmp_path: Path) -> None:
    answer = finalized(searched, "--seeds", "3", DIES=str(tmp_path / "died"))
    assert (tmp_path / "died").exists()
    assert all(one["seeds"] == 3 and not one["failed"] for one in answer["finalists"])


def test_what_was_trained_before_a_death_is_not_trained_again(searched: Path) -> None:
    whole = finalized(searched, "--seeds", "3")
    lines = journal(searched).read_bytes().splitlines(keepends=True)
    ended = [number for number, line in enumerate(lines) if b'"event":"trial_ended"' in line]
    # As if the process had died after four trainings; MLflow has later ones.
    kept = lines[: ended[3] + 1]
    journal(searched).write_bytes(b"".join(kept))
    assert len(events(searched, TrialEnded)) == 4
    again = finalized(searched, "--seeds", "3")
    assert again["openings"] == 1
    complete = [event for event in events(searched, TrialEnded) if event.state == "complete"]
    assert len(complete) == 3 * len(whole["finalists"])
    assert [one["trial"] for one in again["finalists"]] == [
        one["trial"] for one in whole["finalists"]
    ]
    assert [one["test"] for one in again["finalists"]] == [
        one["test"] for one in whole["finalists"]
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [("--seeds 4", ""), ("--top 1 --seeds 3", "--splits")],
    ids=["fewer", "splits"],
)
def test_another_plan_before_the_opening_is_the_one_that_counts(
    before: str, after: str, searched: Path
) -> None:
    finalized(searched, *before.split())
    lines = journal(searched).read_bytes().splitlines(keepends=True)
    opening = next(n for n, line in enumerate(lines) if b"test_set_opened" in line)
    journal(searched).write_bytes(b"".join(lines[:opening]))
    answer = finalized(searched, "--top", "1", "--seeds", "3", *after.split())
    begun = {event.trial: event for event in events(searched, TrialBegun)}
    tested = [begun[event.trial] for event in events(searched, FinalistTested)]
    counts = Counter(one.finalist for one in tested)
    assert counts == {one["trial"]: 3 for one in answer["finalists"]}
    (opened,) = events(searched, TestSetOpened)
    assert set(opened.trials) == {*counts}
    frame = load_study("digits-mlp", home=searched).finalists
    assert sorted(frame["seed"]) == sorted(one.seed for one in tested)
    assert [one["seeds"] for one in answer["finalists"]] == [3] * len(counts)


def test_a_crash_whose_retry_did_not_begin_is_retried(decided: Decided) -> None:
    searched = decided.home
    lines = journal(searched).read_bytes().splitlines(keepends=True)
    first = next(n for n, line in enumerate(lines) if b'"event":"trial_begun"' in line)
    end = json.loads(next(line for line in lines if b'"event":"trial_ended"' in line))
    number = json.loads(lines[first])["trial"]
    crashed = {**end, "trial": number, "state": "failed", "reason": "crashed (SIGKILL)"}
    text = json.dumps({**crashed, "values": [], "metrics": {}}, separators=(",", ":"))
    journal(searched).write_bytes(b"".join([*lines[: first + 1], text.encode(), b"\n"]))
    answer = finalized(searched, "--top", "1", "--seeds", "3")
    assert [(one["seeds"], one["failed"]) for one in answer["finalists"]] == 2 * [(3, [])]
    (retry,) = [event for event in events(searched, TrialBegun) if event.attempt == 2]
    assert retry.retry_of == number


def test_the_plan_is_that_of_the_locked_study(
    searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = finalizing.lock_all_instances

    def lock_late(*arguments: Any) -> None:
        lock(*arguments)
        journal(searched).write_bytes(b"\n")  # as another finalize that ended meanwhile

    monkeypatch.setattr(finalizing, "lock_all_instances", lock_late)
    done = invoke("finalize", "digits-mlp", "--no-report", "--home", str(searched))
    assert done.code == 2
    assert "was finalized by another process meanwhile" in done.err


def test_a_death_after_the_opening_is_the_same_opening(searched: Path) -> None:
    finalized(searched, "--seeds", "3")
    lines = journal(searched).read_bytes().splitlines(keepends=True)
    opening = next(n for n, line in enumerate(lines) if b"test_set_opened" in line)
    journal(searched).write_bytes(b"".join(lines[: opening + 2]))
    other = invoke("finalize", "digits-mlp", "--no-report", "--home", str(searched), "--seeds", "4")
    assert other.code == 2
    assert "--top 3 --seeds 3" in other.err
    assert " finalize digits-mlp" in sweep(searched).out.partition("decide:")[2]
    answer = finalized(searched, "--seeds", "3")
    assert answer["openings"] == 1
    assert " show digits-mlp" in sweep(searched).out.partition("decide:")[2]
    assert len(events(searched, TestSetOpened)) == 1
    doctor = invoke("doctor", "--home", str(searched))
    assert doctor.code == 0, doctor.out


def test_doctor_settles_a_finalize_that_died(decided: Decided) -> None:
    searched = decided.home
    lines = journal(searched).read_bytes().splitlines(keepends=True)
    opening = next(n for n, line in enumerate(lines) if b"test_set_opened" in line)
    begun = json.loads(next(line for line in lines if b'"event":"trial_begun"' in line))
    # A training that was never tracked: its process died at its beginning.
    dying = json.dumps({**begun, "trial": 99, "seed": 2**31 + 99}, separators=(",", ":"))
    journal(searched).write_bytes(b"".join([*lines[: opening + 1], dying.encode() + b"\n"]))
    told = invoke("doctor", "--home", str(searched))
    assert told.code == 1
    assert "its finalize is not closed" in told.out
    mended = invoke("doctor", "--home", str(searched), "--fix", "--json")
    assert (mended.code, mended.answer["differences"]) == (0, [])
    states = {run.data.tags.get("assay.training"): run.data.tags for run in runs(searched)}
    assert states["99"]["assay.state"] == "failed: interrupted"
    assert all(run.info.status != "RUNNING" for run in runs(searched))


@pytest.mark.parametrize(
    ("kept", "is_opened"),
    [(b'"event":"trial_ended"', False), (b'"event":"test_set_opened"', True)],
    ids=["closed", "opened"],
)
def test_show_tells_of_a_finalize_that_was_interrupted(
    kept: bytes, is_opened: bool, decided: Decided
) -> None:
    searched = decided.home
    first = journal(searched).read_bytes()
    finalized(searched, "--top", "1", "--seeds", "4")
    second = journal(searched).read_bytes()[len(first) :].splitlines(keepends=True)
    last = next(number for number, line in enumerate(second) if kept in line)
    journal(searched).write_bytes(b"".join([first, *second[: last + 1]]))

    stores = ("--home", str(searched))
    answer = invoke("show", "digits-mlp", *stores, "--json").answer
    assert answer["finalize"]["openings"] == 1 + is_opened
    assert answer["unfinished_finalize"] == {
        "opening": 2,
        "test_set_opened": is_opened,
        "options": ["--top", "1", "--seeds", "4"],
        "trained": 8 if is_opened else 1,
        "trainings": 8,
    }
    shown = invoke("show", "digits-mlp", *stores).out
    state = "was opened" if is_opened else "was not opened"
    assert f"the test set {state} for the 2nd time" in shown
    (command,) = [line for line in shown.splitlines() if line.startswith("go on:")]
    done = invoke(*shlex.split(command.removeprefix("go on:"))[1:], "--json")
    assert (done.code, done.answer["openings"]) == (0, 2)
    assert len(events(searched, TestSetOpened)) == 2
    assert "has not ended" not in invoke("show", "digits-mlp", *stores).out
