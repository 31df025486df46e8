"""A home without write permission: the request is valid, but the work cannot be done."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import assay
from assay import experiments, models, search
from tests.helpers.command import ASSAY, SWEEP, Done, Swept
from tests.helpers.waiting import GUARD_SECONDS

_CAN_RUN = (
    "import subprocess, sys, assay.models, keras, mlflow; "
    "subprocess.run([sys.executable, '-c', ''], check=True)"
)
_NOBODY = ["setpriv", "--reuid=65534", "--clear-groups"]


def _as_user(words: Sequence[str], **how: str) -> Done:
    """Run a command as a user without root's permissions."""
    place = tempfile.mkdtemp(prefix="assay-nobody-")
    Path(place).chmod(0o777)
    # PYTHONPATH finds packages by folder name, and no folder of an editable install is named assay.
    installed = Path(place) / "installed" / "assay"
    installed.mkdir(parents=True)
    (installed / "__init__.py").symlink_to(assay.__file__)
    for package in (models, search, experiments):
        (installed / package.__name__.split(".")[1]).symlink_to(package.__path__[0])
    try:
        done = subprocess.run(
            [*(_NOBODY if os.geteuid() == 0 else []), *words],
            capture_output=True,
            text=True,
            cwd=place,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(
                    [str(installed.parent), *(path for path in sys.path if path)]
                ),
                "PYTHONDONTWRITEBYTECODE": "1",
                "HOME": place,
                "KERAS_HOME": place,
                "JAX_COMPILATION_CACHE_DIR": place,
                "TMPDIR": place,
                **how,
            },
            timeout=GUARD_SECONDS,
        )
    finally:
        shutil.rmtree(place)
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def command() -> Sequence[str]:
    """Return `assay` with a Python that another user can run, or skip."""
    if os.geteuid() != 0:
        return ASSAY
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv, which runs a command as another user, is not installed")
    # Other users may not be able to read root's Python. The system's Python of the same version can
    # import the same packages.
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        if Path(python).exists() and _as_user([python, "-c", _CAN_RUN]).code == 0:
            return [python, *ASSAY[1:]]
    pytest.skip("another user can't run this Python")


@pytest.fixture(scope="module")
def everybodys() -> Iterator[Path]:
    """Return a folder that every user can read."""
    folder = Path(tempfile.mkdtemp(prefix="assay-readonly-"))
    folder.chmod(0o755)
    yield folder
    for path in folder.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


def _read_only(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


@pytest.mark.parametrize("home", ["there", "there/not-yet"])
@pytest.mark.parametrize("verb", ["sweep", "run"])
def test_an_unwritable_home_is_reported_in_one_line(
    verb: str, home: str, command: Sequence[str], everybodys: Path
) -> None:
    (everybodys / "there").mkdir(exist_ok=True)
    _read_only(everybodys / "there")
    done = _as_user([*command, verb, "digits-mlp", "--home", str(everybodys / home)])
    assert done.code == 1, done.err
    (line,) = done.err.splitlines()
    assert line == (
        f"assay: home, {everybodys / home}, can't be written (Permission denied): "
        "check that you may write there; then the same command goes on from here."
    )


def test_a_read_only_home_can_be_shown_but_not_resumed(
    swept: Swept, command: Sequence[str], everybodys: Path
) -> None:
    home = everybodys / "swept"
    shutil.copytree(swept.home, home)
    _read_only(home)
    more = [*SWEEP, "--trials", "7"]
    done = _as_user([*command, *more, "--home", str(home)])
    (line,) = done.err.splitlines()
    assert (done.code, line.startswith("assay: home, ")) == (1, True), done.err
    for folder in (home, home / "data", *(home / "data").rglob("*")):
        folder.chmod(0o777)  # only the contents cannot be written
    done = _as_user([*command, *more, "--home", str(home)])
    (line,) = [line for line in done.err.splitlines() if line.startswith("assay: ")]
    assert (done.code, "written (Permission denied): " in line) == (1, True), done.err
    assert "Traceback" not in done.err
    for look in (
        ["show", "digits-mlp"],
        ["show", "digits-mlp", "--trial", "1"],
        ["list", "studies"],
    ):
        done = _as_user([*command, *look, "--home", str(home)])
        assert done.code == 0, done.err
