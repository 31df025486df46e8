"""The base class of data sources."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from assay.experiments.data.arrays import SourceArrays
from assay.experiments.data.capacity import CapacityCheck, accept_any_size
from assay.experiments.data.layout import Layout
from assay.search.system.files import expand_path


@dataclass(frozen=True)
class Source(ABC):
    """Where the arrays of one data set come from.

    Only `download` and `load` may import a heavy library or read an array: they run in the process
    that prepares the data. Everything else runs in the command's own process.

    Attributes:
        name: the data set's name, as it is recorded. For your own data it is the prefix and the
            name of the file or folder; the path is left out because it may contain a user name.

    Example:
        >>> source = GeneratedSource("xor", samples=100)
        >>> source.count_training_examples(), source.input_shape()
        (100, (2,))
        >>> source.load().x_train.shape
        (100, 2)
    """

    name: str

    is_published: ClassVar[bool] = False
    """Whether the arrays were published, so that a copy can be compared with them."""

    unverified_reason: ClassVar[str] = "your own data has no published digest"
    """Recorded for arrays that cannot be compared with published ones."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels 0, 1, 2, ...; empty if the labels are their own names."""
        return ()

    @property
    def largest_pixel(self) -> int | None:
        """Largest possible value of a uint8 pixel; None to judge by the training images."""
        return None

    @property
    def layout(self) -> Layout | None:
        """Layout of x as the user gives it; None to recognise it."""
        return None

    @property
    def is_available(self) -> bool:
        """Whether the arrays can be loaded without a download."""
        return True

    @abstractmethod
    def cache_key(self) -> str:
        """Return a text that changes when the arrays may have changed; reads no array.

        Raises:
            RequestError: the file or folder cannot be read.
        """

    @abstractmethod
    def count_training_examples(self) -> int:
        """Return the size of the training set; reads a header at most.

        Validation examples that are split off it are included.

        Raises:
            RequestError: the file or folder cannot be read.
        """

    def find_validation_set(self) -> str | None:
        """Return the name of the data's own validation set, such as "x_val and y_val".

        None if there is none, and validation examples are split off the training set. Reads a
        header at most.

        Raises:
            RequestError: the file or folder cannot be read, or has half a validation set, or two.
        """
        return None

    def list_unused(self) -> tuple[str, ...]:
        """Return the names of arrays or entries beside the data that nothing reads."""
        return ()

    def input_shape(self) -> tuple[int, ...] | None:
        """Return the shape of one input, or None if only loading it would tell.

        Returns:
            (height, width, channels) for images, (features,) for rows, (steps, features) for
            sequences.

        Raises:
            RequestError: the file or folder cannot be read.
        """
        return None

    def download(self) -> None:
        """Download the arrays; called only if they are not available.

        Raises:
            RequestError: the download failed.
        """
        raise NotImplementedError(f"{type(self).__name__} has nothing to download")

    @abstractmethod
    def load(self, check_capacity: CapacityCheck = accept_any_size) -> SourceArrays:
        """Read, generate or decode the arrays.

        Args:
            check_capacity: called with the sizes of the arrays before any is read or decoded, by a
                source whose arrays can be of any size.

        Raises:
            RequestError: the arrays cannot be used as they are, or `check_capacity` refuses them.
        """

    def explain_unverified(self, array_digests: Mapping[str, str]) -> str | None:
        """Return why the arrays may not be the published ones, or None.

        Args:
            array_digests: SHA-256 of each array's bytes in C order, by the array's name.
        """
        return self.unverified_reason


def resolve_path(name: str, prefix: str, base: Path) -> Path:
    """Return the absolute path in a name such as "npz:PATH".

    Args:
        name: the name under [data].
        prefix: the part of the name before the path.
        base: the folder that a relative path starts from.
    """
    return (base / expand_path(name.removeprefix(prefix), f"{prefix}PATH")).absolute()


def default_data_dir() -> Path:
    """Return the folder where Keras keeps its data sets."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "datasets"
