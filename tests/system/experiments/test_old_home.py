"""A home of an earlier release can be continued, with all its formats on disk.

`old_home.tar.xz` was made by the commit before the packages were renamed: a finished study, a study
with two objectives and lists as choices, a single run, and a study whose supervisor was killed in
the middle of a trial with `--checkpoint`.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from assay import load_study
from assay.experiments.workspace import StorePaths
from assay.search.events import TrialEnded
from assay.search.journal import read_events
from tests.helpers.command import assay

ARCHIVE = Path(__file__).parents[1] / "old_home.tar.xz"
MOVED = "home was copied or moved from /tmp/oldhome/home"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Unpack the archive, whose home was elsewhere."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def test_an_old_home_can_be_continued(folder: Path) -> None:
    home = ("--home", "home", "--workers", "1", "--json")
    with pytest.warns(UserWarning, match=MOVED):
        before = load_study("digits-mlp", home=folder / "home")
    assert before.counts == {"complete": 2, "pruned": 1, "failed": 0, "interrupted": 0}
    assert set(before.epochs["trial"]) == {0, 1, 2}

    finished = assay("sweep", "digits-mlp", "--trials", "4", "--epochs", "2", *home, cwd=folder)
    assert finished.code == 0, finished.err
    assert MOVED in finished.err
    assert finished.answer["parent_run_id"] == before.parent_run_id

    front = assay("sweep", "./two.toml", "--trials", "4", *home, cwd=folder)
    assert front.code == 0, front.err
    assert MOVED not in front.err
    assert front.answer["trials"]["complete"] == 4

    killed = assay("sweep", "./slow.toml", "--checkpoint", *home, cwd=folder)
    assert killed.code == 0, killed.err
    assert killed.answer["trials"] == {"complete": 3, "pruned": 0, "failed": 0, "interrupted": 1}
    journal = StorePaths.choose(home=folder / "home").workspace.journal("slow")
    ends = [event for event, _ in read_events(journal) if isinstance(event, TrialEnded)]
    assert [end.label for end in ends[:2]] == ["complete", "failed: interrupted"]
    assert ends[2].metrics["resumed_epoch"] >= 1, "its checkpoint counts"

    agreed = assay("doctor", "--home", "home", cwd=folder)
    assert agreed.code == 0, agreed.out
