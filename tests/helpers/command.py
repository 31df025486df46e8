"""The command `assay`, as a user calls it, and one small study that many tests look at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ASSAY = [sys.executable, "-P", "-c", "from assay.experiments.cli import main; main()"]


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        """What `--json` printed: the last line, and nothing else, on standard output."""
        (line,) = self.out.splitlines()
        answer: dict[str, Any] = json.loads(line)
        return answer


def assay(*arguments: str, cwd: Path | None = None, **environment: str) -> Done:
    """Run `assay` in a process of its own."""
    done = subprocess.run(
        [*ASSAY, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        timeout=170,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Swept:
    """A study of digits-mlp: its home and what the sweep answered."""

    home: Path
    answer: dict[str, Any]
    err: str


SWEEP = (
    "sweep",
    "digits-mlp",
    "--trials",
    "5",
    "--epochs",
    "4",
    "--seed",
    "3",
    "--workers",
    "2",
    "--json",
)
