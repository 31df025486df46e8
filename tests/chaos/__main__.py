"""Run the chaos cases and print their results.

Usage: `python -m tests.chaos [CASE ...] [--quick]`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator

from tests.chaos import cases, disk, outages
from tests.chaos.points import doctors_points, every_point, finalize_points, shared_points
from tests.chaos.sessions import Zygote
from tests.chaos.tested import by_tests
from tests.chaos.together import together

CASES: dict[str, Callable[[Zygote, bool], Iterator[cases.Seen]]] = {
    "points": lambda zygote, quick: cases.points(zygote, every_point()[:: 9 if quick else 1]),
    "kills-2": lambda zygote, quick: cases.random_kills(
        zygote, 10 if quick else 100, 40 if quick else 250, workers=2
    ),
    "kills-4": lambda zygote, quick: cases.random_kills(
        zygote, 10 if quick else 100, 40 if quick else 250, workers=4
    ),
    "points-postgresql": lambda zygote, quick: outages.points(
        zygote, shared_points()[:: 4 if quick else 1]
    ),
    "doctor": lambda zygote, quick: cases.doctor(zygote, doctors_points()[:: 4 if quick else 1]),
    "real": lambda zygote, quick: cases.real(zygote, 4 if quick else 20, 8 if quick else 40),
    "finalize": lambda zygote, quick: cases.finalize(zygote, 8 if quick else 60),
    "finalize-points": lambda zygote, quick: cases.finalize_points(
        zygote, finalize_points()[:: 4 if quick else 1]
    ),
    "disk": lambda zygote, quick: disk.full(zygote, disk.DISKS[:: 3 if quick else 1]),
    "queue": lambda zygote, quick: cases.queue(zygote, 50 if quick else 1000, workers=4),
    "together": lambda zygote, quick: together(zygote, 30 if quick else 200),
    "outage-mlflow": lambda zygote, quick: outages.mlflow(zygote, (2,) if quick else (0, 20, 60)),
    "outage-postgresql": lambda zygote, quick: outages.postgresql(
        zygote, (2,) if quick else (0, 20, 60)
    ),
    "tests": lambda zygote, quick: by_tests(),
}


def main() -> int:
    """Run the command; return 0 if every case held, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "cases", nargs="*", choices=[[], *CASES], help="cases to run (default: all)"
    )
    parser.add_argument("--quick", action="store_true", help="run a small part of each case")
    options = parser.parse_args()
    failed = 0
    with Zygote() as zygote:
        for name in options.cases or CASES:
            began = time.monotonic()
            for seen in CASES[name](zygote, options.quick):
                failed += not seen.verdict.is_good
                mark = "held  " if seen.verdict.is_good else "FAILED"
                print(f"{mark} {seen.case}: {seen.did}; {seen.verdict}", flush=True)
            print(f"       {name} took {time.monotonic() - began:.0f} s", flush=True)
    print(f"{failed} failed" if failed else "everything held")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
