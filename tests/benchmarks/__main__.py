"""Run the measures, print a table, and save every run as JSON.

Usage: `python -m tests.benchmarks [MEASURE ...]`.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import json
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from rich.console import Console

from tests.benchmarks.machine import machine, versions
from tests.benchmarks.mnist import NoMnistError, mnist
from tests.benchmarks.processes import MeasureError
from tests.benchmarks.row import Row
from tests.benchmarks.tables import markdown, terminal

MEASURES: tuple[str, ...] = (
    "startup",
    "sweeps",
    "single",
    "arithmetic",
    "control",
    "tracking",
    "memory",
    "fused",
)
"""Modules of this package, in the order in which they run."""
SEPARATE: tuple[str, ...] = ("gpu",)
"""Measures that run only if they are named, because they need a GPU."""


def main() -> int:
    """Run the command and return its exit status.

    The status is 0, or 1 if a measure failed, or 2 if MNIST is missing.
    """
    options = _arguments()
    if options.show is not None:
        _print(json.loads(options.show.read_text()), options.markdown)
        return 0
    modules = {
        name: importlib.import_module(f"tests.benchmarks.{name}")
        for name in options.measures or MEASURES
    }
    try:
        if any(getattr(module, "NEEDS_MNIST", False) for module in modules.values()):
            mnist()
    except NoMnistError as error:
        print(error, file=sys.stderr)
        return 2
    record: dict[str, Any] = {
        "machine": machine(),
        "versions": versions(),
        "quick": options.quick,
        "rows": [],
    }
    failed = False
    for name, module in modules.items():
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        try:
            for row in _rows(module, options.quick, options.repeats):
                record["rows"].append({**dataclasses.asdict(row), "batch": name})
                print(
                    f"  {row.measure}: {row.value:.3g} {row.unit} {row.verdict}",
                    file=sys.stderr,
                    flush=True,
                )
        except Exception as error:
            # A failed measure must not lose the figures of the other measures.
            failed = True
            if not isinstance(error, MeasureError):
                traceback.print_exc()
            print(f"  no figure: {error}", file=sys.stderr, flush=True)
        # Written after each measure, so that a crash in the next one loses no figures.
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(record, indent=1) + "\n")
    _print(record, options.markdown)
    print(f"saved every run in {options.out}", file=sys.stderr)
    return int(failed)


def _arguments() -> argparse.Namespace:
    known = (*MEASURES, *SEPARATE)
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "measures",
        nargs="*",
        help=f"measures to run: {', '.join(known)} (default: all but the last)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="run at small sizes, as a check that the measures work"
    )
    parser.add_argument(
        "--repeats",
        type=int,
        help="number of rounds, for measures with rounds (default: set by the measure)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("mlruns/bench.json"), help="JSON file for the results"
    )
    parser.add_argument(
        "--markdown",
        action="store_true",
        help="print the table as Markdown, for docs/performance.md",
    )
    parser.add_argument(
        "--show",
        type=Path,
        metavar="JSON",
        help="print the results of an earlier run; measure nothing",
    )
    options = parser.parse_args()
    unknown = [name for name in options.measures if name not in known]
    if unknown:
        parser.error(f"a measure must be one of {', '.join(known)}; received {', '.join(unknown)}")
    if options.repeats is not None and options.repeats < 1:
        parser.error(f"--repeats must be 1 or more; received {options.repeats}")
    return options


def _rows(module: ModuleType, quick: bool, repeats: int | None) -> Iterator[Row]:
    """Return the rows of a measure; pass `repeats` if it accepts them."""
    if repeats is not None and "repeats" in inspect.signature(module.rows).parameters:
        return module.rows(quick, repeats)
    return module.rows(quick)


def _print(record: dict[str, Any], as_markdown: bool) -> None:
    rows = [
        Row(**{name: value for name, value in row.items() if name != "batch"})
        for row in record["rows"]
    ]
    about = (
        f"{record['machine']}; "
        f"{', '.join(f'{name} {version}' for name, version in record['versions'].items())}"
    )
    if record["quick"]:
        about = f"small sizes (--quick): no figures to quote; {about}"
    if as_markdown:
        print(markdown(rows, about), end="")
    else:
        Console().print(terminal(rows))
        print(about)


if __name__ == "__main__":
    sys.exit(main())
