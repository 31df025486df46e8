"""Chaos cases that tests of the test suite cover.

Each case runs test files, and all tests in them must pass.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.cases import Seen
from tests.chaos.verdict import Verdict

_TESTS = {
    "a worker stopped past its timeout, then continued": ("integration/search/test_failures.py",),
    "Ctrl-C, once and twice, SIGTERM, no orphaned workers": (
        "system/experiments/test_sweep.py::test_a_sweep_that_is_asked_to_stop_goes_on_where_it_was",
        "system/experiments/test_endurance.py",
    ),
    "a home that a user other than root may not write": ("system/experiments/test_unwritable.py",),
    "a clock set an hour forward, and back": ("system/experiments/test_clock.py",),
    "bad requests, each with its own test": (
        "integration/experiments/test_requests.py",
        "system/experiments/test_requests.py",
    ),
    "bad requests, generated": ("integration/experiments/test_generated_requests.py",),
    "hostile text, untrusted files, secrets": (
        "system/experiments/test_hostile_text.py",
        "unit/test_no_pickle.py",
        "integration/experiments/test_untrusted_files.py",
        "unit/search/test_urls.py",
        "integration/test_secrets.py",
        "system/test_secrets.py",
    ),
}
_FOLDER = Path(__file__).parents[1]


def by_tests() -> Iterator[Seen]:
    """Run the test files; a skipped test counts as a failure."""
    for case, files in _TESTS.items():
        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            report = Path(folder) / "report.xml"
            command = [sys.executable, "-m", "pytest", "-q", "-n", "2", f"--junitxml={report}"]
            done = subprocess.run(
                [*command, *(str(_FOLDER / file) for file in files)], capture_output=True, text=True
            )
            if not report.exists():
                yield Seen(
                    case,
                    "pytest did not run",
                    Verdict(told=(done.stdout[-500:] + done.stderr[-500:],)),
                )
                continue
            (suite,) = ElementTree.parse(report).getroot().iter("testsuite")
            bad = [
                f"{one.get('name')} {child.tag}: {str(child.get('message')).splitlines()[0]}"
                for one in suite.iter("testcase")
                for child in one
                if child.tag in ("failure", "error", "skipped")
            ]
            tests = int(suite.get("tests", 0))
            did = f"{tests - len(bad)} of {tests} tests of {', '.join(files)} passed"
            yield Seen(
                case,
                did,
                Verdict(
                    told=(*bad, *([] if done.returncode == 0 and tests else ["not all passed"]))
                ),
            )
