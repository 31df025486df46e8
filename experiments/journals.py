"""The studies that a home has journals of, told without opening a store."""

from __future__ import annotations

import json
from contextlib import suppress

from experiments.home import Home


def journal_names(home: Home) -> list[str]:
    """Return the names of the studies that were run from a home, from the first line of each journal."""
    names = []
    for path in home.path.glob("journal/*.jsonl"):
        # A line that is not whole yet names nobody, and a single run has no study.
        with suppress(OSError, ValueError, KeyError), path.open(encoding="utf-8") as journal:
            names.append(json.loads(journal.readline())["study"])
    return sorted(name for name in names if name is not None)
