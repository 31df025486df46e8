"""Data sets that a lecture experiment makes itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.experiments.lectures.bench import Bench


def save_dataset(bench: Bench, name: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    """Save a data set in home, where its studies find it again; return its name for [data].

    Args:
        bench: where the experiment trains.
        name: of the file.
        arrays: x_train, y_train, x_test and y_test.

    Example:
        >>> save_dataset(bench, "outliers", arrays)
        'npz:/home/ada/mlruns/lecture-data/outliers-short.npz'
    """
    folder = Path(bench.store_paths.workspace.path).absolute() / "lecture-data"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}-{bench.size}.npz"
    np.savez(file, allow_pickle=False, **arrays)
    return f"npz:{file}"
