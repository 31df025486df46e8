"""End to end with a real backend: create an experiment, then sweep it."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.command import assay


def test_the_printed_command_sweeps_the_experiment(tmp_path: Path) -> None:
    made = assay("new", "mine", "--json", "--home", f"{tmp_path}/home", cwd=tmp_path).answer
    assert made["file"] == "mine.toml"
    assert made["network"] is None
    command, *arguments = made["next"].split()
    assert (command, arguments[:2]) == ("assay", ["sweep", "./mine.toml"])
    done = assay(*arguments, "--trials", "2", "--epochs", "1", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.answer["trials"]["failed"] == 0
    assert done.answer["study"] == "mine"
