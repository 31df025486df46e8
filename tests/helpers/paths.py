"""Paths of the repository."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]

ODD_NAMES = (
    *(f"a{mark}b" for mark in " %?#&;=+@:'\"\\{}*[]~$\n\t"),
    "feature%2Flr",  # as Jenkins names the workspace of a branch
    "100%25",
    "a%00b",
    "a?mode=ro&uri=true",
    "file:a",
    "ä",
    "日本",
    "😀",
    "-a",
    "a.",
)
"""Names of folders that some library reads as something else."""
