"""Partial reading of a journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.search.events import EpochEnded, Event, StudyClosed, TrialBegun, TrialEnded
from assay.search.journal import Journal, last_event, read_events


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
