"""`assay sweep --dry-run` downloads nothing."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.command import invoke


def test_a_dry_run_does_not_download_the_data_set(tmp_path: Path) -> None:
    done = invoke(
        "sweep", "mnist-mlp", "--dry-run", "--data-dir", str(tmp_path / "data"), cwd=tmp_path
    )
    assert done.code == 0, done.err
    assert "not measured: mnist is not there yet" in done.out
    assert list(tmp_path.iterdir()) == []
