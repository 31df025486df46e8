"""The experiments that come with the suite: one TOML file each, and how they are found by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from assay.experiments.config.experiment import Experiment, read
from assay.models.errors import RequestError
from assay.models.names import check_name


def names() -> Mapping[str, Path]:
    """Return the catalogue's files by experiment name."""
    return {
        path.stem: path for path in sorted((Path(__file__).parents[1] / "catalog").glob("*.toml"))
    }


def load(reference: str) -> Experiment:
    """Read an experiment: by its name in the catalogue, or by the path of a file of one's own.

    Raises:
        RequestError: there is none, or its file is wrong.
    """
    if reference.endswith(".toml") or "/" in reference:
        return read(Path(reference).expanduser())
    known = names()
    if reference not in known and Path(f"{reference}.toml").exists():
        raise RequestError(
            f"unknown experiment {reference!r}: for the file beside you write ./{reference}.toml."
        )
    return read(known[check_name("experiment", reference, known)])
