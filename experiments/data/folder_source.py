"""`folder:PATH`: a folder of images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from experiments.data.arrays import Array, SourceArrays
from experiments.data.source import Source
from experiments.data.tree import ImageFile, list_tree
from models.errors import RequestError

FOLDER_PREFIX = "folder:"
"""What a name begins with that says where the user's own images are."""


@dataclass(frozen=True)
class FolderSource(Source):
    """Images in `train/<class>/` and `test/<class>/`.

    Attributes:
        path: of the folder that holds both.
        size: (height, width) in pixels that every image is resized to; None where all have one size.
    """

    path: Path
    size: tuple[int, int] | None

    def identity(self) -> str:
        """Return a digest over every file's name, size and time of change, and the version of what reads them.

        Raises:
            RequestError: the folder is not laid out as it must be, or cannot be read.
        """
        tree = list_tree(self.path)
        listing = hashlib.sha256()
        for image in (*tree.train, *tree.test):
            listing.update(os.fsencode(image.path.relative_to(self.path)) + _state(image.path))
        return f"{self.path.resolve()} {self.size} {listing.hexdigest()} Pillow {version('pillow')}"

    def count(self) -> int:
        """Return how many images `train` has.

        Raises:
            RequestError: the folder is not laid out as it must be, or cannot be read.
        """
        return len(list_tree(self.path).train)

    def load(self) -> SourceArrays:
        """Decode every image; see `experiments.data.pictures` for what becomes of which kind.

        Returns:
            Images (n, height, width) or (n, height, width, 3) uint8, labels as texts: the names of their folders.

        Raises:
            RequestError: a file that is no image, or images of different sizes.
        """
        # Pillow takes a while to import, and only the child needs it.
        from experiments.data.pictures import decode

        tree = list_tree(self.path)
        x_train, x_test = decode([image.path for image in tree.train], [image.path for image in tree.test], self.size)
        return SourceArrays(x_train=x_train, y_train=_labels(tree.train), x_test=x_test, y_test=_labels(tree.test))


def own_folder(path: Path, size: tuple[int, int] | None) -> FolderSource:
    """Return the user's own folder as a source.

    Raises:
        RequestError: it is not there.
    """
    if not path.is_dir():
        problem = "is a file" if path.exists() else "is not there"
        raise RequestError(
            f"{FOLDER_PREFIX}PATH must be a folder with train/<class>/ and test/<class>/: {path} {problem}."
        )
    named = path.resolve() if path.name == ".." else path
    name = "~" if named == Path.home() else named.name  # whose own name is the user's
    return FolderSource(f"{FOLDER_PREFIX}{name}", path, size)


def _labels(images: Sequence[ImageFile]) -> Array:
    return np.array([image.label for image in images])


def _state(path: Path) -> bytes:
    try:
        found = path.stat()
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}.") from None
    return f"\0{found.st_size} {found.st_mtime_ns}\0".encode()
