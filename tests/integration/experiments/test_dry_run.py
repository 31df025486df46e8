"""`assay sweep --dry-run`: no download, and a line for each fact."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.helpers.command import invoke
from tests.helpers.small_sets import make_arrays


def test_a_dry_run_does_not_download_the_data_set(tmp_path: Path) -> None:
    done = invoke(
        "sweep", "mnist-mlp", "--dry-run", "--data-dir", str(tmp_path / "data"), cwd=tmp_path
    )
    assert done.code == 0, done.err
    assert "not measured: mnist is not there yet" in done.out
    assert list(tmp_path.iterdir()) == []


def test_names_of_arrays_forge_no_line(tmp_path: Path) -> None:
    forged = "extra\nwarning: forged\x1b[2J"
    np.savez(tmp_path / "own.npz", **make_arrays(), **{forged: np.zeros(3)})
    file = tmp_path / "mine.toml"
    file.write_text('title = "t"\n[data]\nname = "npz:own.npz"\n[model]\nfamily = "mlp"\n')
    done = invoke("sweep", str(file), "--dry-run", "--home", str(tmp_path / "home"))
    assert done.code == 0, done.err
    (line,) = [line for line in done.err.splitlines() if "forged" in line]
    assert line.startswith("  not used: extra\\nwarning: forged\\x1b[2J of npz:own.npz")
