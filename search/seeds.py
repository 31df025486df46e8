"""Seeds: every trial's own, all of them following from the study's."""

from __future__ import annotations

import hashlib


def trial_seed(study_seed: int, number: int) -> int:
    """Return the seed of a trial, in [0, 2**31), from the study's seed and the trial's number.

    A hash rather than a sum: neighbouring studies and trials share no seeds, and no trial's seed depends on which
    worker trained it or when.
    """
    digest = hashlib.sha256(f"{study_seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:4]) % 2**31
