"""Pipes in the place of users' files, such as `<(command)` of a shell."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest

from assay.models import files
from assay.models.files import read_user_file
from tests.helpers.limits import time_limit


@pytest.mark.parametrize(
    ("write", "words"),
    [
        ("printf text", None),
        ("for i in 1 2 3; do sleep 0.4; printf text; done", None),
        ("head -c 300000 /dev/zero", None),
        ("true", None),
        ("sleep 10", "nothing was written for 1 s"),
        ("printf text; sleep 10", "nothing was written for 1 s"),
        ("cat /dev/zero", "at most 1,000,000 bytes and has more"),
    ],
)
@pytest.mark.parametrize("is_named", [True, False])
def test_a_pipe_is_read_to_its_end(
    write: str,
    words: str | None,
    is_named: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files, "PIPE_SILENCE_SECONDS", 1.0)
    if is_named:
        os.mkfifo(path := tmp_path / "pipe")
        writer = subprocess.Popen(["bash", "-c", f"sleep 0.4; ({write}) > {path}"], process_group=0)
    else:  # as bash does for `<(command)` and for `/dev/stdin` behind a pipe
        writer = subprocess.Popen(["bash", "-c", write], stdout=subprocess.PIPE, process_group=0)
        assert writer.stdout is not None
        path = Path(f"/dev/fd/{writer.stdout.fileno()}")
    try:
        if words is None:
            expected = subprocess.run(["bash", "-c", write], stdout=subprocess.PIPE, check=True)
            assert read_user_file(path, most_bytes=1_000_000) == expected.stdout
        else:
            with time_limit(10), pytest.raises(ValueError, match=words):
                read_user_file(path, most_bytes=1_000_000)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(writer.pid, signal.SIGKILL)
        writer.communicate()
