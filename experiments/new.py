"""Putting an experiment of one's own in place: whole and checked, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from experiments.catalog import names
from experiments.data import DataSettings, training_images
from experiments.experiment import read
from experiments.input_shape import input_shape
from experiments.template import Template, network_text
from models.errors import RequestError
from models.families import FAMILIES
from models.names import check_name


@dataclass(frozen=True)
class Created:
    """The files that were written; `network` is None unless a function of one's own was asked for and not there."""

    file: Path
    network: Path | None


def create(name: str, data: str, model: str, data_dir: Path) -> Created:
    """Write NAME.toml, and the file of the network that it names unless there is one.

    Args:
        name: of the experiment, or the path of its file, with or without `.toml`.
        data: a data set, as [data] names it.
        model: a family, or a function of the user's own as `file.py:function` or `package.module:function`.
        data_dir: where known data sets are kept.

    Raises:
        RequestError: the file is there already, or no such experiment can be; then nothing is written.
    """
    file = _file(name)
    settings = DataSettings.read({"name": data}, "--data")
    own = ":" in model
    function = _function(model) if own else check_name("family", model, FAMILIES)
    images = training_images(settings, data_dir, file.parent)
    network = _network(file, model) if own else None
    template = Template(
        file,
        settings,
        model,
        largest_batch=images,
        family=None if own else FAMILIES[model],
        writes_network=network is not None,
    )
    with _aside(file, template.text()) as draft:
        # What a function of one's own takes shows when it is called: by the first sweep, before it writes anything.
        if not own:
            experiment = read(draft)
            shape = input_shape(settings, file.parent)
            if shape is not None:
                experiment.check_input(shape)
        if network is not None:
            _write_network(network, template, function)
        _put(draft, file)
    return Created(file, network)


def _file(name: str) -> Path:
    file = Path(name if name.endswith(".toml") else f"{name}.toml")
    stem = file.stem
    if not stem.strip() or not stem.isprintable() or stem.startswith(".") or name.endswith(("/", "\\")):
        raise RequestError(f"NAME must be a name or a path that ends in one, such as mine; received {name!r}.")
    if stem in names():
        raise RequestError(f"{stem!r} is an experiment of the catalogue: give yours a name of its own.")
    if not file.parent.is_dir():
        raise RequestError(f"{file} needs a folder to lie in: there is no {file.parent}; make it first.")
    if os.path.lexists(file):
        raise _is_there(file)
    return file


def _function(reference: str) -> str:
    """Return the name of the function that a reference ends in."""
    place, _, function = reference.partition(":")
    module = place.removesuffix(".py").rpartition("/")[2]
    if not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise RequestError(
            "--model must be a family, file.py:function or package.module:function; "
            f"received {reference!r}: write nets.py:build."
        )
    return function


def _network(file: Path, model: str) -> Path | None:
    """Return the file of a function of one's own beside the experiment; None if it is there, or none is named."""
    place = Path(model.partition(":")[0]).expanduser()
    network = file.parent / place
    if place.suffix != ".py" or network.exists():
        return None
    if not network.parent.is_dir():
        raise RequestError(f"{network} needs a folder to lie in: there is no {network.parent}; make it first.")
    return network


def _write_network(network: Path, template: Template, function: str) -> None:
    with _aside(network, network_text(template.file.name, function, template.task)) as draft:
        _put(draft, network)


@contextmanager
def _aside(file: Path, text: str) -> Iterator[Path]:
    """Enter with the text in a file of the same name, in a folder beside it that is gone on leaving."""
    try:
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".assay-") as folder:
            draft = Path(folder) / file.name
            draft.write_text(text, encoding="utf-8")
            yield draft
    except OSError as error:
        raise RequestError(f"{file} can't be written: {error.strerror}.") from None


def _put(draft: Path, file: Path) -> None:
    """Move a draft into its place, which must be empty: nobody's file is ever replaced."""
    try:
        os.link(draft, file)
    except FileExistsError:
        raise _is_there(file) from None


def _is_there(file: Path) -> RequestError:
    return RequestError(f"{file} is there already: give the new one another name, or remove it.")
