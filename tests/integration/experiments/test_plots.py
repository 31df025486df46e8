"""What plotting imports, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.helpers.waiting import GUARD_SECONDS


def test_figures_leave_the_state_that_pyplot_keeps_alone() -> None:
    # In a process of its own: other tests import what imports pyplot.
    code = """
import sys
from tests.unit.experiments.test_plots import OF_ONE, study
for _, draw in OF_ONE:
    draw(study())._repr_svg_()
assert "matplotlib.pyplot" not in sys.modules
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=GUARD_SECONDS)
