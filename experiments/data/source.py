"""Where the arrays of a data set come from, and how to tell that they are still the same."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from assay.experiments.data.arrays import SourceArrays
from assay.experiments.data.known import KnownSet


@dataclass(frozen=True)
class Source(ABC):
    """The place of four arrays: one subclass a kind of place.

    Whoever asks for data uses all but `load`, so nothing else imports a heavy library or reads an
    array.

    Attributes:
        name: the known set's; for the user's own the kind and the name of its file or folder,
            without the folders that it lies in, which may name a user.
    """

    name: str

    unverified: ClassVar[str] = "a data set of one's own has no published digest"
    """Why the arrays are not known to be the published ones where `known` is None."""

    @property
    def known(self) -> KnownSet | None:
        """What was published about it, if anything."""
        return None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names for the labels 0, 1, 2, ...; empty where the labels are their own names."""
        return () if self.known is None else self.known.classes

    @property
    def is_there(self) -> bool:
        """Whether it can be read; else it must be fetched first."""
        return True

    @abstractmethod
    def cache_key(self) -> str:
        """Say in one text what changes when the arrays may have changed, without reading them.

        Raises:
            RequestError: the place cannot be looked at.
        """

    @abstractmethod
    def count(self) -> int:
        """Return how many examples the training set has, validation not yet split off; reads a
        header at most.

        Raises:
            RequestError: the place cannot be read.
        """

    @abstractmethod
    def load(self) -> SourceArrays:
        """Read, draw or decode the arrays; in the child only.

        Raises:
            RequestError: whatever the user must mend.
        """


def default_data_dir() -> Path:
    """Return the folder where Keras keeps its data sets."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "datasets"
