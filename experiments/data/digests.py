"""What the arrays hash to, and whether that is what was published."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from experiments.data.arrays import SourceArrays
from experiments.data.known import KnownSet


def digest_arrays(arrays: SourceArrays) -> tuple[str, dict[str, str]]:
    """Hash the source's arrays, little-endian and in C order.

    Returns:
        One SHA-256 over the names, types, shapes and bytes of all four, and by name that of each array's bytes alone.
    """
    whole = hashlib.sha256()
    each = {}
    for name, array in arrays.items():
        ordered = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))  # no copy where it is so already
        data = ordered.reshape(-1).view(np.uint8).data
        whole.update(f"{name} {ordered.dtype.str} {ordered.shape} ".encode())
        whole.update(data)
        each[name] = hashlib.sha256(data).hexdigest()
    return whole.hexdigest(), each


def why_unverified(digests: Mapping[str, str], name: str, known: KnownSet) -> str | None:
    """Say why the arrays are not known to be the published ones; None if they are.

    Args:
        digests: SHA-256 of each array's bytes.
        name: of the data set.
        known: what was published about it.
    """
    notes = [known.altered[digest] for digest in digests.values() if digest in known.altered]
    differing = [array for array, digest in known.published.items() if digests[array] != digest]
    if differing:
        notes.append(f"{', '.join(differing)} differ from the published {name}")
    unrecorded = [array for array in digests if array not in known.published and digests[array] not in known.altered]
    if unrecorded:
        notes.append(f"no digest of {name}'s original {', '.join(unrecorded)} is on record to compare with")
    return "; ".join(notes) if notes else None
