"""The folder of a report: what is written, replaced, refused and read."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from assay.experiments.report import store
from assay.experiments.report.records import (
    Costs,
    Counts,
    DataRecord,
    Environment,
    ReportRecord,
    ReportRecords,
    StudyEnvironment,
    StudyRecord,
)
from assay.experiments.report.store import read_report, write_report
from assay.models.errors import DamagedFile, RequestError, SearchError

PAGES = {"report.html": b"<p>page", "report.md": b"# page", "figures/history.svg": b"<svg/>"}
WRITTEN = {*PAGES, "records.jsonl", "environment.json", "ro-crate-metadata.json"}
HOSTILE = "x</script>\n\u202e'\"{{7*7}}"


def study(name: str = HOSTILE, **changes: Any) -> StudyRecord:
    data = DataRecord(
        name="digits",
        digest="d" * 64,
        verified="yes",
        note="",
        noun="images",
        input_shape=(8, 8, 1),
        classes=("0", "1"),
        scale="unit",
        train_examples=10,
        validation_examples=5,
        test_examples=None,
    )
    empty: dict[str, Any] = dict.fromkeys(
        (
            *("objectives", "pareto", "claim", "checks", "decision", "untried"),
            *("facts", "warnings", "commands"),
        ),
        (),
    )
    values = {
        **empty,
        **{key: {} for key in ("fixed", "importance", "execution")},
        **dict.fromkeys(("question", "seed", "best", "leader", "unfinished"), None),
        **dict.fromkeys(("random_search", "expected_best"), None),
        **dict.fromkeys(("title", "source", "family", "sampler", "pruner", "toml"), "text"),
    }
    counts = Counts(complete=1, pruned=0, failed=0, interrupted=0, running=0)
    costs = Costs(sweep=1.0, finalize=None, training=0.5, finalist_training=None)
    return StudyRecord(
        **{
            **values,
            "study": name,
            "experiment": "mine",
            "task": "classification",
            "metric": "val_accuracy",
            "greater_is_better": True,
            "test_metric": "accuracy",
            "is_share": True,
            "data": data,
            "epochs": 2,
            "counts": counts,
            "openings": 0,
            "costs": costs,
            **changes,
        }
    )


def report(*studies: StudyRecord) -> ReportRecords:
    found = studies or (study(),)
    record = ReportRecord(
        format=1,
        title=HOSTILE,
        studies=tuple(one.study for one in found),
        collected="2026-11-27T14:00:00Z",
        version="0.1.0",
    )
    return ReportRecords(record, found)


def environment(name: str = HOSTILE) -> Environment:
    settings = {"version.assay": "0.1.0", "backend": "tensorflow"}
    stage = StudyEnvironment(
        study=name,
        stage="search",
        began="2026-11-27T13:00:00Z",
        ended="2026-11-27T13:30:00Z",
        settings=settings,
        packages={"keras": "3.15.1"},
    )
    return Environment(stages=(stage,))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = write_report(tmp_path / "r", report(), environment(), PAGES)
    assert names[-1] == "manifest-sha256.txt"
    assert set(names) == set(files(tmp_path / "r"))
    return tmp_path / "r"


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_what_was_written_is_read_again(folder: Path) -> None:
    assert read_report(folder) == (report(), environment())
    assert set(files(folder)) == {*WRITTEN, "manifest-sha256.txt"}


def test_the_manifest_is_that_of_sha256sum(folder: Path) -> None:
    written = files(folder)
    lines = written.pop("manifest-sha256.txt").decode().splitlines()
    assert lines == [
        f"{hashlib.sha256(content).hexdigest()}  {name}"
        for name, content in sorted(written.items())
    ]


def test_a_report_that_is_written_again_is_the_same(folder: Path, tmp_path: Path) -> None:
    records, ran_in = read_report(folder)
    write_report(tmp_path / "again", records, ran_in, PAGES)
    assert files(tmp_path / "again") == files(folder)


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_a_file_that_differs_is_named(name: str, folder: Path) -> None:
    with (folder / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(DamagedFile, match=f"{re.escape(name)} differs; restore it") as refused:
        read_report(folder)
    assert "\n" not in str(refused.value)


def test_pages_may_be_missing_but_no_records(folder: Path) -> None:
    for name in (*PAGES, "ro-crate-metadata.json"):
        (folder / name).unlink()
    assert read_report(folder)[0] == report()
    (folder / "records.jsonl").unlink()
    with pytest.raises(RequestError, match=r"records\.jsonl can't be read"):
        read_report(folder)


@pytest.mark.parametrize(
    "line", ["x", f"{'0' * 64}  ../secret", f"{'0' * 64}  /etc/passwd", f"{'0' * 64}  a//b"]
)
def test_a_manifest_names_no_file_elsewhere(line: str, folder: Path) -> None:
    (folder / "manifest-sha256.txt").write_text(f"{line}\n")
    with pytest.raises(DamagedFile, match="line 1 is not"):
        read_report(folder)


def test_a_folder_without_a_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no folder"):
        read_report(tmp_path / "missing")
    with pytest.raises(RequestError, match="has none; give that of a report"):
        read_report(tmp_path)


def test_links_are_refused(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.txt").write_text("mine")
    page = folder / "report.html"
    page.unlink()
    page.symlink_to(outside / "mine.txt")
    for call in (
        lambda: read_report(folder),
        lambda: write_report(folder, report(), environment(), PAGES),
    ):
        with pytest.raises(DamagedFile, match=r"must be no links: .*report\.html is one"):
            call()
    page.unlink()
    (folder / "figures" / "history.svg").unlink()
    (folder / "figures").rmdir()
    (folder / "figures").symlink_to(outside)
    with pytest.raises(DamagedFile, match="figures is one"):
        write_report(folder, report(), environment(), PAGES)
    assert files(outside) == {"mine.txt": b"mine"}


def test_files_of_the_user_stay_and_outdated_ones_go(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    (folder / ".assay-report-left").mkdir()  # by a process that was killed
    fewer = {name: content for name, content in PAGES.items() if not name.startswith("figures")}
    write_report(folder, report(), environment(), fewer)
    assert set(files(folder)) == {*WRITTEN, "manifest-sha256.txt", "notes.txt"} - {
        "figures/history.svg"
    }
    assert not (folder / "figures").exists()
    assert not (folder / ".assay-report-left").exists()


def test_an_outdated_file_that_was_changed_stays(folder: Path) -> None:
    figure = folder / "figures" / "history.svg"
    figure.write_text("drawn by hand")
    write_report(folder, report(), environment(), {"report.html": b"new"})
    assert figure.read_text() == "drawn by hand"


def test_a_full_disk_leaves_the_report_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(folder)
    calls = 0

    def fail_late(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store.os, "fsync", fail_late)
    with pytest.raises(SearchError, match="No space left"):
        write_report(folder, report(), environment(), {**PAGES, "report.html": b"new"})
    assert files(folder) == before


def test_a_write_that_was_cut_off_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced, replace_file = list[str](), Path.replace

    def replace(source: Path, target: Path) -> None:
        if len(replaced) == 1:
            raise KeyboardInterrupt
        replaced.append(target.name)
        replace_file(source, target)

    monkeypatch.setattr(Path, "replace", replace)
    new = dict.fromkeys(PAGES, b"new")
    with pytest.raises(KeyboardInterrupt):
        write_report(folder, report(), environment(), new)
    with pytest.raises(DamagedFile, match="differs"):
        read_report(folder)


# RO-Crate.


def graph(folder: Path) -> dict[str, dict[str, Any]]:
    crate = json.loads((folder / "ro-crate-metadata.json").read_text())
    assert crate["@context"] == "https://w3id.org/ro/crate/1.1/context"
    return {entity["@id"]: entity for entity in crate["@graph"]}


def test_the_crate_follows_the_profile(folder: Path) -> None:
    """The MUSTs of Process Run Crate 0.5, https://w3id.org/ro/wfrun/process/0.5.

    roc-validator 0.13 finds no violation of a MUST either. It is no test here: it fetches the
    context from the network, and needs a release of rich that is older than ours.
    """
    found = graph(folder)
    root = found["./"]
    assert root["conformsTo"] == {"@id": "https://w3id.org/ro/wfrun/process/0.5"}
    assert found[root["conformsTo"]["@id"]]["@type"] == "CreativeWork"
    assert found["ro-crate-metadata.json"]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert {"name", "description", "license"} <= set(root)
    assert root["datePublished"] == "2026-11-27T14:00:00Z"
    parts = {part["@id"] for part in root["hasPart"]}
    assert parts == WRITTEN - {"ro-crate-metadata.json"}
    assert all(found[part]["@type"] == "File" for part in parts)
    actions = [found[mention["@id"]] for mention in root["mentions"]]
    assert [action["@type"] for action in actions] == ["CreateAction", "CreateAction"]
    for action in actions:
        assert found[action["instrument"]["@id"]]["@type"] == "SoftwareApplication"
        assert found[action["instrument"]["@id"]]["softwareVersion"] == "0.1.0"
        for reference in (action["object"], *action["result"]):
            for one in reference if isinstance(reference, list) else [reference]:
                assert one["@id"] in found
    search = actions[0]
    assert (search["startTime"], search["endTime"]) == (
        "2026-11-27T13:00:00+00:00",
        "2026-11-27T13:30:00+00:00",
    )


def test_a_search_without_a_result_has_failed(tmp_path: Path) -> None:
    counts = Counts(complete=0, pruned=0, failed=3, interrupted=0, running=0)
    write_report(tmp_path, report(study(counts=counts)), environment(), PAGES)
    found = graph(tmp_path)
    search = found[found["./"]["mentions"][0]["@id"]]
    assert search["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert search["error"] == "No trial is complete."


def test_a_search_that_is_at_work_is_active(tmp_path: Path) -> None:
    counts = Counts(complete=0, pruned=0, failed=0, interrupted=0, running=2)
    write_report(tmp_path, report(study(counts=counts)), environment(), PAGES)
    found = graph(tmp_path)
    search = found[found["./"]["mentions"][0]["@id"]]
    assert search["actionStatus"] == "http://schema.org/ActiveActionStatus"
    assert "error" not in search


def test_the_crate_names_the_command_of_a_benchmark(tmp_path: Path) -> None:
    records = report()
    benchmark = records.report.model_copy(update={"command": "make benchmark-report"})
    write_report(tmp_path, ReportRecords(benchmark, records.records), environment(), PAGES)
    assert graph(tmp_path)["#report"]["description"] == "make benchmark-report"


def test_data_without_a_digest_are_told_apart_by_their_names(tmp_path: Path) -> None:
    known = study().data
    names = ("npz:a b.npz", "npz:c.npz")
    studies = [
        study(name, data=known.model_copy(update={"name": name, "digest": "unknown"}))
        for name in names
    ]
    stages = tuple(stage for name in names for stage in environment(name).stages)
    write_report(tmp_path, report(*studies), Environment(stages=stages), PAGES)
    found = graph(tmp_path)
    used = [found[action["@id"]]["object"]["@id"] for action in found["./"]["mentions"][:2]]
    assert used == ["#data-npz%3Aa%20b.npz", "#data-npz%3Ac.npz"]
    assert not any("identifier" in found[one] for one in used)
