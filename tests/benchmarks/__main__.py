"""Run the measures, print them as a table and keep every run as JSON: `python -m tests.benchmarks [MEASURE ...]`."""

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
"""Modules of this package, in the order they are run."""
SEPARATE: tuple[str, ...] = ("gpu",)
"""Those that run only when they are named: they need what not every machine has."""


def main() -> int:
    """Return 0; 1 if a measure failed; 2 if what was asked for can't be measured."""
    asked = _arguments()
    if asked.show is not None:
        _print(json.loads(asked.show.read_text()), asked.markdown)
        return 0
    modules = {
        name: importlib.import_module(f"tests.benchmarks.{name}")
        for name in asked.measures or MEASURES
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
        "quick": asked.quick,
        "rows": [],
    }
    failed = False
    for name, module in modules.items():
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        try:
            for row in _rows(module, asked.quick, asked.repeats):
                record["rows"].append({**dataclasses.asdict(row), "batch": name})
                print(
                    f"  {row.measure}: {row.value:.3g} {row.unit} {row.verdict}",
                    file=sys.stderr,
                    flush=True,
                )
        except (
            Exception
        ) as error:  # whatever it was, what was measured and what is still to be stays of use
            failed = True
            if not isinstance(error, MeasureError):
                traceback.print_exc()
            print(f"  no figure: {error}", file=sys.stderr, flush=True)
        # After each, so that what breaks the next one costs no figure.
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(json.dumps(record, indent=1) + "\n")
    _print(record, asked.markdown)
    print(f"every run: {asked.out}", file=sys.stderr)
    return int(failed)


def _arguments() -> argparse.Namespace:
    known = (*MEASURES, *SEPARATE)
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "measures", nargs="*", help=f"which of {', '.join(known)}; unless named all but the last"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: to see that it runs, not how fast"
    )
    parser.add_argument(
        "--repeats",
        type=int,
        help="rounds of what is measured in turn; its own number unless given",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("mlruns/bench.json"), help="where the JSON goes"
    )
    parser.add_argument(
        "--markdown", action="store_true", help="print the table as docs/performance.md has it"
    )
    parser.add_argument(
        "--show", type=Path, metavar="JSON", help="measure nothing, print what an earlier run kept"
    )
    asked = parser.parse_args()
    unknown = [name for name in asked.measures if name not in known]
    if unknown:
        parser.error(f"a measure must be one of {', '.join(known)}; received {', '.join(unknown)}")
    if asked.repeats is not None and asked.repeats < 1:
        parser.error(f"--repeats must be 1 or more; received {asked.repeats}")
    return asked


def _rows(module: ModuleType, quick: bool, repeats: int | None) -> Iterator[Row]:
    """Run a measure, with so many rounds if it takes a number of them: `rows(quick, repeats)`."""
    if repeats is not None and "repeats" in inspect.signature(module.rows).parameters:
        return module.rows(quick, repeats)
    return module.rows(quick)


def _print(record: dict[str, Any], as_markdown: bool) -> None:
    rows = [
        Row(**{name: value for name, value in row.items() if name != "batch"})
        for row in record["rows"]
    ]
    about = f"{record['machine']}; {', '.join(f'{name} {version}' for name, version in record['versions'].items())}"
    if record["quick"]:
        about = f"small sizes (--quick): no figures to quote; {about}"
    if as_markdown:
        print(markdown(rows, about), end="")
    else:
        Console().print(terminal(rows))
        print(about)


if __name__ == "__main__":
    sys.exit(main())
