"""Run the measures, print them as a table and keep them as JSON: `python -m tests.benchmarks [MEASURE ...]`."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.machine import machine
from tests.benchmarks.row import Row

MEASURES: tuple[str, ...] = ("fused",)
"""Modules of this package, in the order they are run."""
SEPARATE: tuple[str, ...] = ("gpu",)
"""Those that run only when they are named: they need what not every machine has."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("measures", nargs="*", choices=[*MEASURES, *SEPARATE, []], help="which; all unless named")
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it runs, not how fast")
    parser.add_argument("--out", type=Path, default=Path("mlruns/bench.json"), help="where the JSON goes")
    asked = parser.parse_args()
    rows: list[Row] = []
    for name in asked.measures or MEASURES:
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        for row in importlib.import_module(f"tests.benchmarks.{name}").rows(asked.quick):
            rows.append(row)
            print(f"  {row.measure}: {row.value:.3g} {row.unit} {row.verdict}", file=sys.stderr, flush=True)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    record = {"machine": machine(), "quick": asked.quick, "rows": [dataclasses.asdict(row) for row in rows]}
    asked.out.write_text(json.dumps(record, indent=1) + "\n")
    Console().print(table(rows))
    print(f"{machine()}; every run: {asked.out}")


def table(rows: list[Row]) -> Table:
    """Return the rows for a terminal."""
    table = Table("measure", "figure", "goal", "stretch", "reached")
    for row in rows:
        wanted = [f"{value:g} {row.unit}" if value is not None else "" for value in (row.goal, row.stretch)]
        table.add_row(row.measure, f"{row.value:.3g} {row.unit}", *wanted, row.verdict)
    return table


if __name__ == "__main__":
    main()
