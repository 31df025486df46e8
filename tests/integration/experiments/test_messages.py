"""Messages about a failing store give the reason in a few words."""

from __future__ import annotations

import errno
import os
import subprocess

import pytest
from mlflow.exceptions import MlflowException

from assay.experiments.tracking.follower import summarize_store_error
from tests.helpers.command import ASSAY, Swept
from tests.helpers.waiting import GUARD_SECONDS

_FULL = (
    "(raised as a result of Query-invoked autoflush)\n"
    "(sqlite3.OperationalError) database or disk is full"
)
_UNREACHABLE = "API request failed: HTTPConnectionPool(): Max retries exceeded with url: /api"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MlflowException(_FULL), "No space left on device"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device"),
        (MlflowException(_UNREACHABLE), "its server does not answer"),
        (MlflowException("no such column\nof the table"), "no such column"),
        (MlflowException(""), "MlflowException"),
    ],
)
def test_a_store_error_is_summarized_in_one_line(error: Exception, said: str) -> None:
    assert summarize_store_error(error) == said


def test_a_closed_pipe_prints_no_error(swept: Swept) -> None:
    shown = " ".join(
        f"'{word}'" for word in [*ASSAY, "show", "digits-mlp", "--home", str(swept.home)]
    )
    script = f"set -o pipefail; {shown} | true"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=GUARD_SECONDS
    )
    assert (done.returncode, done.stderr) == (141, "")
