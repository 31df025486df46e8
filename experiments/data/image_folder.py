"""`folder:PATH`: a folder of images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from assay.experiments.data.arrays import Array, SourceArrays
from assay.experiments.data.source import Source
from assay.models.errors import RequestError
from assay.models.names import suggestion

# The files of a folder of images: `train/<class>/` and `test/<class>/`, listed without opening any.
#
# In a class's folder everything is an image of that class, in folders within it too, but for hidden
# files and what operating systems leave behind. Links are followed, but for those that lead back to
# a folder they lie in. Beside `train` and `test` there may be whatever else.


LAYOUT = "a folder of images must hold train/<class>/ and test/<class>/"

DROPPINGS = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx"}
"""What Windows and macOS leave in folders of images without being asked, in lower case; .DS_Store
is hidden anyway.
"""


@dataclass(frozen=True)
class ImageFile:
    """One file of a class.

    Attributes:
        path: where it is.
        label: the name of its class's folder.
    """

    path: Path
    label: str


@dataclass(frozen=True)
class ImageTree:
    """All files, by class and then by path, in the order of their characters.

    Attributes:
        train: at least one of each class.
        test: at least one, of classes of `train`; a class may be missing.
    """

    train: tuple[ImageFile, ...]
    test: tuple[ImageFile, ...]


def list_tree(root: Path) -> ImageTree:
    """List the files in `train` and `test`.

    Raises:
        RequestError: one of the two is missing, cannot be read or holds no image; a class of
            `train` without images, or one of `test` that `train` lacks; a file beside the classes'
            folders.
    """
    try:
        train, test = (_classes(root / part) for part in ("train", "test"))
        _check_test_classes(root, set(train), set(test))
        tree = ImageTree(_images(train), _images(test))
    except OSError as error:
        raise RequestError(f"{error.filename or root} cannot be read: {error.strerror}.") from None
    empty = set(train) - {image.label for image in tree.train}
    if empty:
        raise RequestError(f"{train[min(empty)]} must hold images, or not be there: it is empty.")
    if not tree.test:
        raise RequestError(
            f"{root / 'test'} must hold images that are for testing alone: it holds none."
        )
    return tree


def _classes(folder: Path) -> dict[str, Path]:
    """Return the folders of a part's classes by name, sorted."""
    if not folder.is_dir():
        raise RequestError(f"{LAYOUT}: there is no folder {folder}; make it.")
    classes = {entry.name: Path(entry.path) for entry in _entries(folder)}
    for name, path in classes.items():
        if not path.is_dir():
            raise RequestError(
                f"{LAYOUT}: {path} lies in no class's folder; move it into one, or away."
            )
        if not name.isprintable():
            raise RequestError(
                f"the name of a class's folder must be readable text; received {name!r}: rename it."
            )
    if not classes:
        raise RequestError(f"{LAYOUT}: {folder} holds no folder of a class; make one for each.")
    return classes


def _check_test_classes(root: Path, train: set[str], test: set[str]) -> None:
    for name in sorted(test - train):
        raise RequestError(
            f"every class of test/ must be one of train/, {', '.join(sorted(train))}; received {root / 'test' / name}."
            f"{suggestion(name, train)}"
        )


def _images(classes: dict[str, Path]) -> tuple[ImageFile, ...]:
    return tuple(
        ImageFile(path, name)
        for name, folder in classes.items()
        for path in _files(folder, (Path(os.path.realpath(folder.parent)),))
    )


def _files(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Yield whatever lies in a class's folder; `above` are the real paths of the folders that it
    lies in.
    """
    real = Path(os.path.realpath(folder))
    if any(path.is_relative_to(real) for path in above):
        return
    for entry in _entries(folder):
        if entry.is_dir():
            yield from _files(Path(entry.path), (*above, real))
        else:
            yield Path(entry.path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        kept = [
            entry
            for entry in entries
            if not entry.name.startswith(".") and entry.name.lower() not in DROPPINGS
        ]
    return sorted(kept, key=lambda entry: entry.name)


FOLDER_PREFIX = "folder:"
"""What a name begins with that says where the user's own images are."""


@dataclass(frozen=True)
class FolderSource(Source):
    """Images in `train/<class>/` and `test/<class>/`.

    Attributes:
        path: of the folder that holds both.
        size: (height, width) in pixels that every image is resized to; None where all have one
            size.
    """

    path: Path
    size: tuple[int, int] | None

    def cache_key(self) -> str:
        """Return a digest over every file's name, size and time of change, and the version of what
        reads them.

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
        """Decode every image; see `assay.experiments.data.images` for what becomes of which kind.

        Returns:
            Images (n, height, width) or (n, height, width, 3) uint8, labels as texts: the names of
            their folders.

        Raises:
            RequestError: a file that is no image, or images of different sizes.
        """
        # Pillow takes a while to import, and only the child needs it.
        from assay.experiments.data.images import decode

        tree = list_tree(self.path)
        x_train, x_test = decode(
            [image.path for image in tree.train], [image.path for image in tree.test], self.size
        )
        return SourceArrays(
            x_train=x_train, y_train=_labels(tree.train), x_test=x_test, y_test=_labels(tree.test)
        )


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
