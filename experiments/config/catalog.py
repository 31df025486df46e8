"""The catalogue: the experiments that come with Assay, one TOML file each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from assay.experiments.config.experiment import (
    Experiment,
    find_toml_files,
    read_experiment,
    to_argument,
)
from assay.models.errors import RequestError
from assay.models.names import check_name
from assay.search.system.files import expand_path

_CATALOG_FOLDER = Path(__file__).parents[1] / "catalog"


def list_catalog() -> Mapping[str, Path]:
    """Return the files of the catalogue by experiment name."""
    return {path.stem: path for path in sorted(_CATALOG_FOLDER.glob("*.toml"))}


def resolve_experiment(reference: str) -> Experiment:
    """Read the experiment that a name of the catalogue or a path refers to.

    Args:
        reference: a name such as "mnist-mlp", or the path of a TOML file, such as "./mine.toml".

    Raises:
        RequestError: there is no such experiment, or its file is wrong.

    Example:
        >>> resolve_experiment("digits-mlp").data.name
        'digits'
    """
    if reference.lower().endswith(".toml") or "/" in reference:
        return read_experiment(expand_path(reference, "an experiment"))
    catalog = list_catalog()
    if reference not in catalog and (files := find_toml_files(Path(reference))):
        raise RequestError(
            f"unknown experiment {reference!r}: for the file in the current folder write "
            f"{to_argument(files[0])}."
        )
    return read_experiment(catalog[check_name("experiment", reference, catalog)])
