"""The studies that a home has journals of, told without opening a store."""

from __future__ import annotations

import json
from contextlib import suppress

from experiments.home import Home


def journal_names(home: Home) -> list[str]:
    """Return the names of the studies that were run from a home."""
    return sorted(journal_experiments(home))


def journal_experiments(home: Home) -> dict[str, str]:
    """Return the experiment of each study that was run from a home, from the first line of its journal."""
    experiments = {}
    for path in home.path.glob("journal/*.jsonl"):
        # A line that is not whole yet names nobody.
        with suppress(OSError, ValueError, KeyError), path.open(encoding="utf-8") as journal:
            opened = json.loads(journal.readline())
            if opened["study"] is not None:  # as that of a single run is
                experiments[opened["study"]] = opened["experiment"]
    return experiments
