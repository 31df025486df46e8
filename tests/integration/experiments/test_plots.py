"""Imports of the plotting code."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.helpers.waiting import GUARD_SECONDS


def test_figures_do_not_import_pyplot() -> None:
    # In a separate process: other tests import pyplot indirectly.
    code = """
import sys
from tests.unit.experiments.test_plots import OF_ONE, study
for _, draw in OF_ONE:
    draw(study())._repr_svg_()
assert "matplotlib.pyplot" not in sys.modules
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=GUARD_SECONDS)
