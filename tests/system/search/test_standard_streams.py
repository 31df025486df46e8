"""Standard streams that are closed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

LOWEST = """
import json, os, sys
from pathlib import Path
from assay.search.system.standard_streams import {function}
{function}()
file = open("opened", "w")
# As C code prints: by number, whatever the file behind it.
for descriptor in (1, 2):
    os.write(descriptor, b"noise")
print("noise", file=sys.stderr)
Path("answer").write_text(json.dumps([file.fileno(), sys.stderr is None]))
"""


@pytest.mark.parametrize("closed", ["", "0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
@pytest.mark.parametrize("function", ["open_standard_descriptors", "open_standard_streams"])
def test_no_file_is_opened_as_a_standard_stream(function: str, closed: str, tmp_path: Path) -> None:
    script = LOWEST.format(function=function)
    done = subprocess.run(
        ["bash", "-c", f'"$@" {closed}', "bash", sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    descriptor, has_no_error_stream = json.loads((tmp_path / "answer").read_text())
    assert descriptor > 2
    assert (tmp_path / "opened").read_text() == ""
    # A caller's streams stay the caller's.
    is_callers = function == "open_standard_descriptors" and "2>&-" in closed
    assert has_no_error_stream == is_callers
