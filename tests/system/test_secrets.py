"""A successful sweep does not reveal its passwords."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.command import SWEEP, assay

SECRET = "hun%40ter%2F2"

MEANT = "hun@ter/2"


def leaked(text: str) -> bool:
    return any(form in text for form in (SECRET, MEANT, "ter%2F2", "ter/2", "hun@ter", "hun%40ter"))


def test_a_successful_sweep_does_not_reveal_its_passwords(tmp_path: Path) -> None:
    """SQLite accepts unknown options in its URL."""
    home = tmp_path / "home"
    home.mkdir()
    storage = f"sqlite:///file:{home}/optuna.db?uri=true&password={SECRET}"
    more = ["--home", str(home), "--storage", storage]
    done = assay(*SWEEP, *more)
    assert done.code == 0, done.err
    said = done.out + done.err
    for words in (
        ["doctor", "--json"],
        ["list", "studies"],
        ["show", "digits-mlp"],
        [*SWEEP[:-1], "--trials", "6"],
    ):
        looked = assay(*words, *more)
        assert looked.code == 0, looked.err
        said += looked.out + looked.err
    assert not leaked(said)
    files = [path for path in home.rglob("*") if path.is_file()]
    assert (home / "mlflow.db") in files
    for path in files:
        assert not any(form.encode() in path.read_bytes() for form in (SECRET, MEANT)), path
