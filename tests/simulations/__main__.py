"""Run the simulations and print what they counted.

Usage: `python -m tests.simulations [CASE ...] [--quick]`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time

from tests.simulations.row import Row

CASES: tuple[str, ...] = ("verdicts", "checks", "importances")
"""Modules of this package, in the order in which they run."""
SEPARATE: tuple[str, ...] = ("networks",)
"""Cases that run only if they are named: they measure what the others assume."""


def main() -> int:
    """Run the command; return 0 if every bound held, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulations", description=__doc__)
    parser.add_argument(
        "cases",
        nargs="*",
        choices=[[], *CASES, *SEPARATE],
        help=f"cases to run (default: {' '.join(CASES)})",
    )
    parser.add_argument("--quick", action="store_true", help="simulate fewer studies")
    options = parser.parse_args()
    bounds = broken = 0
    for name in options.cases or CASES:
        began = time.monotonic()
        for row in importlib.import_module(f"tests.simulations.{name}").rows(options.quick):
            if isinstance(row, Row):
                bounds += row.has_bound
                broken += not row.is_held
            print(row, flush=True)
        print(f"       {name} took {time.monotonic() - began:.0f} s", flush=True)
    print(f"{broken} of {bounds} bounds broken" if broken else f"{bounds} bounds, all held")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
