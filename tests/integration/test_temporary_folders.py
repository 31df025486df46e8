"""Temporary folders and caches: private, and removed once their process is gone."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from assay.experiments.run.execution import jax_environment
from assay.models.files import make_private_folder, temporary_folder

HOLD = """
import sys
from pathlib import Path
from assay.models.files import temporary_folder
with temporary_folder(sys.argv[1]) as folder:
    (folder / "inside").mkdir()
    (folder / "inside" / "file").write_text("text")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that temporary folders are created in."""
    (folder := tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    return folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("purpose", ["mlflow", "dry-run"])
def test_the_folder_of_a_killed_process_is_removed_by_the_next(
    purpose: str, temporary: Path
) -> None:
    words = [sys.executable, "-c", HOLD, purpose]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        with temporary_folder("git") as own:
            assert (folder / "inside" / "file").exists(), "its process is alive"
        assert not own.exists()
        process.kill()
    assert folder.exists()
    with temporary_folder("git") as own:
        assert mode(own) == 0o700
        assert list(temporary.iterdir()) == [own]
    assert list(temporary.iterdir()) == []


def abandon(temporary: Path, name: str, permissions: int = 0o700) -> Path:
    """Create a folder as a killed process leaves it."""
    (folder := temporary / name).mkdir()
    folder.chmod(permissions)
    (folder / "result").touch()
    (folder / ".assay-temporary").touch()
    return folder


def test_a_folder_of_the_users_own_is_not_removed(temporary: Path) -> None:
    for name in (
        "assay-paper-locked-results",
        "assay-paper-locked-a1b2c3d4",
        "assay-git-locked-results-of-may",
        "assay-git-locked-RESULTS1",
        "assay-git-locked-a1b2c3d",
        "assay-git-locked-a1b2c3d4.bak",
        "my-assay-git-locked-a1b2c3d4",
    ):
        abandon(temporary, name)
    abandon(temporary, "assay-git-locked-readable", 0o755)
    (abandon(temporary, "assay-git-locked-unmarked") / ".assay-temporary").unlink()
    marker = abandon(temporary, "assay-git-locked-linked__") / ".assay-temporary"
    marker.unlink()
    marker.symlink_to("result")
    kept = set(temporary.rglob("*"))
    with temporary_folder("git"):
        pass
    assert set(temporary.rglob("*")) == kept


def test_nothing_but_abandoned_folders_is_removed(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (precious := tmp_path / "precious").mkdir()
    (precious / "file").touch()
    (temporary / "assay-git-locked-link").symlink_to(precious)
    (temporary / "assay-git-locked-file").touch()
    (temporary / "assay-git-earlier-release").mkdir()
    (temporary / "another").mkdir()
    abandoned = abandon(temporary, "assay-git-locked-abandon_")
    (abandoned / "link").symlink_to(precious)
    kept = {path for path in temporary.iterdir() if path != abandoned}
    with monkeypatch.context() as patch:
        patch.setattr(os, "getuid", lambda: 12345)  # all belong to another user then
        with temporary_folder("git"):
            assert abandoned.exists()
    with temporary_folder("git"):
        pass
    assert set(temporary.iterdir()) == kept
    assert (precious / "file").exists()


def test_the_cache_of_compiled_programs_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache" / "assay").mkdir(parents=True, mode=0o755)
    folder = Path(jax_environment(1)["JAX_COMPILATION_CACHE_DIR"])
    assert folder == tmp_path / "cache" / "assay" / "jax"
    assert (mode(folder), mode(folder.parent)) == (0o700, 0o700)


def test_a_cache_that_is_a_link_or_of_another_user_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (tmp_path / "assay").symlink_to(tmp_path / "elsewhere")
    assert "JAX_COMPILATION_CACHE_DIR" not in jax_environment(1)
    assert mode(tmp_path / "elsewhere") == 0o755
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert not make_private_folder(tmp_path / "elsewhere")
