"""`assay sweep --dry-run` measures the cost with a worker that trains."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.command import invoke

TWO = """
title = "conditions"
[data]
name = "digits"
[model]
family = "mlp"
[train]
epochs = 2
[space]
hidden_units = { low = 4, high = 8, step = 4 }
optimizer = ["momentum", "adam"]
momentum = { low = 0.5, high = 0.9, step = 0.2, when = { optimizer = "momentum" } }
[search]
sampler = "grid"
[[baseline]]
hidden_units = 8
optimizer = "adam"
"""


def test_a_dry_run_shows_space_trials_and_cost_and_writes_nothing(tmp_path: Path) -> None:
    (folder := tmp_path / "here").mkdir()
    (folder / "two.toml").write_text(TWO)
    done = invoke(
        "sweep", "two.toml", "--dry-run", "--json", "--workers", "2", "--home", "home", cwd=folder
    )
    assert done.code == 0, done.err
    told = done.answer
    assert told["space"]["momentum"] == "0.5 to 0.9, step 0.2, when optimizer = 'momentum'"
    assert (told["configurations"], told["trials"], told["workers"]) == (8, 8, 2)
    assert told["first"][0] == {"origin": "baseline", "hidden_units": 8, "optimizer": "adam"}
    assert len({str(one) for one in told["first"]}) == 5
    assert told["seconds"] > 0
    assert told["memory_bytes"] > 100_000_000
    assert "nothing was written" in done.err
    assert [path.name for path in folder.iterdir()] == ["two.toml"]
