"""Partial reading of a journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.models.errors import DamagedFile, SearchError
from assay.search import journal
from assay.search.events import (
    MOST_NAMES,
    EpochEnded,
    Event,
    StudyClosed,
    TrialBegun,
    TrialEnded,
    to_record,
)
from assay.search.history import add_epoch
from assay.search.journal import LONGEST_LINE_BYTES, Journal, last_event, read_events
from tests.helpers.limits import time_limit


def story(trials: int, error: str = "") -> list[Event]:
    events: list[Event] = []
    for number in range(trials):
        events += [
            TrialBegun(trial=number, seed=1, params={}, searched={}, origin="tpe"),
            EpochEnded(trial=number, epoch=1, metrics={"loss": 0.5}, seconds=0.1),
            TrialEnded(trial=number, state="failed", reason="error", error=error),
        ]
    return events


def written(folder: Path, events: list[Event]) -> Path:
    with Journal(folder / "journal.jsonl") as journal:
        for event in events:
            journal.append(event)
    return folder / "journal.jsonl"


@pytest.mark.parametrize("characters", [0, 65_000, 65_400, 65_536, 200_000])
def test_the_last_event_is_found_if_its_line_is_long(tmp_path: Path, characters: int) -> None:
    events = story(2, "x" * characters)
    assert last_event(written(tmp_path, events)) == events[-1]


def test_an_unfinished_line_is_ignored(tmp_path: Path) -> None:
    path = written(tmp_path, story(2))
    with path.open("ab") as file:
        file.write(b'{"event":"study_cl')
    assert isinstance(last_event(path), TrialEnded)
    assert len(list(read_events(path))) == 6


def test_a_journal_without_a_complete_line_has_no_last_event(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b'{"event":"study_cl')
    assert last_event(tmp_path / "journal.jsonl") is None
    assert last_event(tmp_path / "nowhere.jsonl") is None


def test_selected_events_keep_their_offsets(tmp_path: Path) -> None:
    path = written(tmp_path, story(3))
    kinds = (TrialBegun, TrialEnded)
    every = list(read_events(path))
    assert list(read_events(path, only=kinds)) == [
        found for found in every if isinstance(found[0], kinds)
    ]
    assert list(read_events(path, every[2][1], only=kinds)) == [
        found for found in every[3:] if isinstance(found[0], kinds)
    ]
    assert list(read_events(path, only=[StudyClosed])) == []


BEGUN = b'{"event":"trial_begun","trial":0,"seed":1,"params":{},"searched":{},"origin":"tpe"}'
DAMAGED = {
    "no JSON": b"\x00\xff" * 20,
    "a list": b"[1, 2]",
    "no event": b'{"trial": 1}',
    "an unknown event": b'{"event": "trial_stolen", "trial": 1}',
    "an event that is a list": b'{"event": ["trial_begun"]}',
    "a missing field": b'{"event":"trial_begun","trial":0}',
    "a text for a number": BEGUN.replace(b'"trial":0', b'"trial":"none"'),
    "a negative number": BEGUN.replace(b'"trial":0', b'"trial":-1'),
    "a number that no store can hold": BEGUN.replace(b'"trial":0', b'"trial":1' + b"0" * 30),
    "a list for a mapping": BEGUN.replace(b'"params":{}', b'"params":[]'),
    "deep nesting": b'{"event":' * 100_000,
    "long digits": b'{"event":' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("line", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_line_is_said_or_skipped(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(BEGUN + b"\n" + line + b"\n" + BEGUN + b"\n")
    with pytest.raises(DamagedFile, match=r"journal\.jsonl, line 2: .*assay delete") as caught:
        list(read_events(path))
    assert "\n" not in str(caught.value)
    assert len(list(read_events(path, skip_damaged=True))) == 2
    path.write_bytes(BEGUN + b"\n" + line + b"\n")
    with pytest.raises(DamagedFile, match="line 2"):
        last_event(path)


def test_a_line_without_end_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "LONGEST_LINE_BYTES", 1000)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(BEGUN + b"\n" + b"{" * 5000)
    with pytest.raises(DamagedFile, match="line 2: it has over 1,000 bytes"):
        list(read_events(path))
    assert len(list(read_events(path, skip_damaged=True))) == 1


def test_an_integer_stays_one_in_a_journal(tmp_path: Path) -> None:
    event = TrialEnded(trial=0, state="complete", values=(7,), metrics={"parameters": 7})
    (read, _) = next(read_events(written(tmp_path, [event])))
    assert read == event
    assert isinstance(read, TrialEnded)
    assert [type(value) for value in (*read.values, *read.metrics.values())] == [int, int]


def test_a_journal_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (elsewhere := tmp_path / "elsewhere").write_bytes(b"unfinished")
    (path := tmp_path / "journal.jsonl").symlink_to(elsewhere)
    with pytest.raises(DamagedFile, match="a symbolic link"):
        Journal(path)
    with pytest.raises(DamagedFile, match="a symbolic link"):
        list(read_events(path))
    assert list(read_events(path, skip_damaged=True)) == []
    assert elsewhere.read_bytes() == b"unfinished"


NAMES = {f"p{number}": 0.5 for number in range(MOST_NAMES + 1)}
LARGE: dict[str, Event] = {
    "a long text": TrialEnded(trial=0, state="failed", error="x" * (LONGEST_LINE_BYTES + 1)),
    "many parameters": TrialBegun(trial=0, seed=1, params=NAMES, searched={}, origin="tpe"),
    "many searched names": TrialBegun(trial=0, seed=1, params={}, searched=NAMES, origin="tpe"),
    "many metrics": EpochEnded(trial=0, epoch=1, metrics=NAMES, seconds=0.1),
}


@pytest.mark.parametrize("event", LARGE.values(), ids=LARGE)
def test_an_event_that_is_too_large_is_neither_written_nor_read(
    event: Event, tmp_path: Path
) -> None:
    path = written(tmp_path, story(1))
    content = path.read_bytes()
    with Journal(path) as journal:
        with pytest.raises(SearchError, match="at most 16,777,216 bytes and 10,000 names"):
            journal.append(event)
        assert path.read_bytes() == content
        journal.append(StudyClosed(closing="finished"))
    path.write_bytes(content + json.dumps(to_record(event), separators=(",", ":")).encode() + b"\n")
    with pytest.raises(DamagedFile, match=r"line 4: .*(over 10,000|over 16,777,216 bytes)"):
        list(read_events(path))


def test_the_largest_event_is_read(tmp_path: Path) -> None:
    names = dict(list(NAMES.items())[:MOST_NAMES])
    event = TrialBegun(trial=0, seed=1, params=names, searched=names, origin="tpe")
    assert [read for read, _ in read_events(written(tmp_path, [event]))] == [event]


def test_an_epoch_replaces_those_from_there_on() -> None:
    epochs: list[EpochEnded] = []
    for number in (1, 2, 3, 4, 2, 3, 3, 1, 2):
        add_epoch(epochs, EpochEnded(trial=0, epoch=number, metrics={}, seconds=number / 10))
    assert [epoch.epoch for epoch in epochs] == [1, 2]


def test_an_epoch_costs_the_same_whatever_comes_before() -> None:
    epochs: list[EpochEnded] = []
    with time_limit(30):  # it took minutes: each epoch copied all earlier ones
        for number in range(200_000):
            add_epoch(epochs, EpochEnded(trial=0, epoch=number, metrics={}, seconds=0.1))
    assert len(epochs) == 200_000
