"""The reports of the worked benchmark, as they are committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.experiments.report.store import read_report
from tests.helpers.command import invoke
from tests.helpers.paths import ROOT

REPORTS = ROOT / "experiments" / "reports"
NAMES = ("mnist", "cifar10")
MOST_BYTES = 1_500_000


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_page_is_drawn_again_from_the_records(name: str, tmp_path: Path) -> None:
    again = tmp_path / name
    done = invoke("report", "--from", str(REPORTS / name), "--out", str(again))
    assert done.code == 0, done.err
    committed, drawn = files(REPORTS / name), files(again)
    assert drawn.keys() == committed.keys()
    assert [path for path in drawn if drawn[path] != committed[path]] == []
    assert len(drawn["report.html"]) < MOST_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_the_studies_are_finalized_by_the_recorded_command(name: str) -> None:
    records, _ = read_report(REPORTS / name)
    assert records.report.command == f"make benchmark-report DATA={name}"
    families = {one.family for one in records.studies if one.leader is not None}
    assert families == {"linear", "mlp", "cnn"}


def test_the_cifar10_report_says_what_its_test_images_are() -> None:
    records, _ = read_report(REPORTS / "cifar10")
    for file in ("report.html", "report.md"):
        text = (REPORTS / "cifar10" / file).read_text()
        # On the first screen, and in the chapter of each study.
        assert text.count("8,983 of 10,000 images went through JPEG") > len(records.studies)
