"""What is said of a store that does not take what it is told: the reason in a few words, whatever its library says."""

from __future__ import annotations

import errno
import os
import subprocess

import pytest
from mlflow.exceptions import MlflowException

from assay.experiments.tracking.follower import summarize_store_error
from tests.helpers.command import ASSAY, Swept
from tests.helpers.waiting import GUARD_SECONDS

_FULL = "(raised as a result of Query-invoked autoflush)\n(sqlite3.OperationalError) database or disk is full"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MlflowException(_FULL), "No space left on device"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device"),
        (MlflowException("API request failed: HTTPConnectionPool(): Max retries exceeded with url: /api"),
         "its server does not answer"),
        (MlflowException("no such column\nof the table"), "no such column"),
        (MlflowException(""), "MlflowException"),
    ],
)  # fmt: skip
def test_a_line_says_what_is_wrong(error: Exception, said: str) -> None:
    assert summarize_store_error(error) == said


def test_whoever_stops_reading_is_no_failure(swept: Swept) -> None:
    shown = " ".join(
        f"'{word}'" for word in [*ASSAY, "show", "digits-mlp", "--home", str(swept.home)]
    )
    script = f"set -o pipefail; {shown} | true"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=GUARD_SECONDS
    )
    assert (done.returncode, done.stderr) == (141, "")
