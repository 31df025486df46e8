"""`folder:PATH`: your own images in train/<class>/ and test/<class>/, and in val/<class>/.

The validation folder may be missing; it may also be named valid, validation or dev. Every file in a
class's folder and its subfolders must be an image of that class, except hidden files and those that
operating systems create. Links are followed, except to a folder that contains the link; each
folder is visited once for its class, however many links lead there. Anything else may lie beside
these folders.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from assay.experiments.data.arrays import Array, SourceArrays
from assay.experiments.data.capacity import CapacityCheck, accept_any_size
from assay.experiments.data.sources.base import Source, resolve_path
from assay.models.errors import RequestError
from assay.models.names import suggestion

FOLDER_PREFIX = "folder:"
"""Prefix of a data set's name that is followed by the path of a folder of images."""

SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx"}
"""Names, in lower case, that Windows and macOS create in folders of images. Hidden files such as
.DS_Store are skipped anyway.
"""

VALIDATION_FOLDERS = ("val", "valid", "validation", "dev")

_LAYOUT_RULE = "a folder of images must hold train/<class>/ and test/<class>/"


@dataclass(frozen=True)
class FolderSource(Source):
    """A folder with images in `train/<class>/` and `test/<class>/`.

    Attributes:
        path: absolute path of the folder.
        size: (height, width) in pixels that every image is resized to; None if all images have the
            same size.
    """

    path: Path
    size: tuple[int, int] | None

    def cache_key(self) -> str:
        """Return a digest over every file's name, size and modification time.

        Raises:
            RequestError: the folder has another layout, or cannot be read.
        """
        tree = list_image_tree(self.path)
        listing = hashlib.sha256()
        for image in (*tree.train, *tree.validation, *tree.test):
            listing.update(os.fsencode(image.path.relative_to(self.path)))
            listing.update(_file_state(image.path))
        # Pillow's version, because another one may decode other pixels from the same file.
        return f"{self.path.resolve()} {self.size} {listing.hexdigest()} Pillow {version('pillow')}"

    def count_training_examples(self) -> int:
        """Return the number of images in `train`.

        Raises:
            RequestError: the folder has another layout, or cannot be read.
        """
        return len(list_image_tree(self.path).train)

    def find_validation_set(self) -> str | None:
        """Return the name of the validation folder, such as "val/", or None.

        Raises:
            RequestError: there are several such folders.
        """
        folder = find_validation_folder(self.path)
        return None if folder is None else f"{folder.name}/"

    def list_unused(self) -> tuple[str, ...]:
        """Return the names of all other entries of the folder."""
        used = {"train", "test", (self.find_validation_set() or "").rstrip("/")}
        try:
            entries = _list_entries(self.path)
        except OSError as error:
            raise RequestError(f"{self.path} cannot be read: {error.strerror}.") from None
        return tuple(entry.name for entry in entries if entry.name not in used)

    def load(self, check_capacity: CapacityCheck = accept_any_size) -> SourceArrays:
        """Decode every image; `image_files` lists how each kind of image is converted.

        Args:
            check_capacity: called before the first image is decoded; see `Source.load`.

        Returns:
            x uint8 (n, height, width) or (n, height, width, 3); y texts, the names of the classes'
            folders.

        Raises:
            RequestError: a file is not an image, or images have different sizes.
        """
        # Here, because Pillow takes a while to import and only the preparing process needs it.
        from assay.experiments.data.sources.image_files import decode_images

        tree = list_image_tree(self.path)
        # The validation images are decoded as the test images are: what they are must not change
        # what a network is trained on.
        held_out = [*tree.validation, *tree.test]
        x_train, x_held_out = decode_images(
            [image.path for image in tree.train],
            [image.path for image in held_out],
            self.size,
            check_capacity,
        )
        count = len(tree.validation)
        return SourceArrays(
            x_train=x_train,
            y_train=_labels(tree.train),
            x_test=x_held_out[count:],
            y_test=_labels(tree.test),
            x_validation=x_held_out[:count] if count else None,
            y_validation=_labels(tree.validation) if count else None,
            validation_part=(self.find_validation_set() or "validation").rstrip("/"),
        )


def locate_folder(
    name: str, data_dir: Path, base: Path, size: tuple[int, int] | None
) -> FolderSource:
    """Return the source for `folder:PATH`.

    Args:
        name: the name under [data], such as "folder:pets".
        data_dir: not used.
        base: the folder that a relative path starts from.
        size: (height, width) in pixels that every image is resized to; None to resize none.

    Raises:
        RequestError: there is no such folder.
    """
    path = resolve_path(name, FOLDER_PREFIX, base)
    if not path.is_dir():
        problem = "is a file" if path.exists() else "is not there"
        raise RequestError(
            f"{FOLDER_PREFIX}PATH must be a folder with train/<class>/ and test/<class>/: "
            f"{path} {problem}."
        )
    # ".." has no name of its own.
    named_path = path.resolve() if path.name == ".." else path
    # The name is recorded in MLflow: the home folder's own name would be the user's name.
    folder_name = "~" if named_path == Path.home() else named_path.name
    return FolderSource(f"{FOLDER_PREFIX}{folder_name}", path, size)


@dataclass(frozen=True)
class ImageFile:
    """An image of a class.

    Attributes:
        path: path of the file.
        label: name of the class's folder.
    """

    path: Path
    label: str


@dataclass(frozen=True)
class ImageTree:
    """All images of a folder, sorted by class and then by path.

    Attributes:
        train: training images, at least one of each class.
        test: test images, at least one, of classes of `train`; a class may be missing.
        validation: validation images, likewise; empty if there is no such folder.
    """

    train: tuple[ImageFile, ...]
    test: tuple[ImageFile, ...]
    validation: tuple[ImageFile, ...] = ()


def list_image_tree(root: Path) -> ImageTree:
    """List the files of the training, validation and test images without opening any.

    Raises:
        RequestError: `train` or `test` is missing, or one of the folders cannot be read or holds
            no image; a class of `train` has no images; another folder has a class that `train`
            lacks; a file lies beside the classes' folders; there are several validation folders.
    """
    try:
        train, test = (_list_classes(root / part) for part in ("train", "test"))
        _check_classes(root / "test", test, train)
        validation_folder = find_validation_folder(root)
        validation: dict[str, Path] = {}
        if validation_folder is not None:
            validation = _list_classes(validation_folder)
            _check_classes(validation_folder, validation, train)
        tree = ImageTree(_list_images(train), _list_images(test), _list_images(validation))
    except OSError as error:
        raise RequestError(f"{error.filename or root} cannot be read: {error.strerror}.") from None
    empty = set(train) - {image.label for image in tree.train}
    if empty:
        raise RequestError(
            f"a class's folder must hold images, but {train[min(empty)]} is empty: "
            "add images, or remove it."
        )
    if not tree.test:
        raise RequestError(
            f"{root / 'test'} must hold images that are used for testing only; it holds none."
        )
    if validation_folder is not None and not tree.validation:
        raise RequestError(
            f"{validation_folder} must hold images to validate with; it holds none: add images, "
            "or remove it."
        )
    return tree


def find_validation_folder(root: Path) -> Path | None:
    """Return the folder of validation images, or None.

    Raises:
        RequestError: there are several.
    """
    found = [root / name for name in VALIDATION_FOLDERS if (root / name).is_dir()]
    if len(found) > 1:
        names = ", ".join(f"{folder.name}/" for folder in found)
        raise RequestError(
            f"{root} must hold one folder of validation images at most; received {names}: keep one."
        )
    return found[0] if found else None


def _list_classes(folder: Path) -> dict[str, Path]:
    """Return the folders of the classes in `train` or `test`, by name and sorted."""
    if not folder.is_dir():
        raise RequestError(f"{_LAYOUT_RULE}: there is no folder {folder}; create it.")
    classes = {entry.name: Path(entry.path) for entry in _list_entries(folder)}
    for name, path in classes.items():
        if not path.is_dir():
            raise RequestError(
                f"{_LAYOUT_RULE}: {path} lies outside the classes' folders; move it into one, "
                "or elsewhere."
            )
        if not name.isprintable():
            raise RequestError(
                f"the name of a class's folder must be readable text; received {name!r}: rename it."
            )
    if not classes:
        raise RequestError(
            f"{_LAYOUT_RULE}: {folder} holds no folder of a class; create one for each class."
        )
    return classes


def _check_classes(folder: Path, classes: Collection[str], train: Collection[str]) -> None:
    for name in sorted(set(classes) - set(train)):
        raise RequestError(
            f"every class of {folder.name}/ must be one of train/, {', '.join(sorted(train))}; "
            f"received {folder / name}.{suggestion(name, train)}"
        )


def _list_images(classes: dict[str, Path]) -> tuple[ImageFile, ...]:
    return tuple(
        ImageFile(path, name) for name, folder in classes.items() for path in _walk_files(folder)
    )


def _walk_files(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and its subfolders, each real folder once.

    Links that lead to one folder by several ways would otherwise multiply: ten folders with two
    links to the next one are a thousand ways.
    """
    visited: set[tuple[int, int]] = set()
    above = (os.path.realpath(folder.parent),)
    if _contains_any(real_path := os.path.realpath(folder), above):
        return
    # A stack, since folders can be nested deeper than functions can call themselves.
    waiting = [_Visit(str(folder), real_path, above)]
    while waiting:
        place = waiting.pop()
        if place.real_folder is None:
            yield Path(place.path)
            continue
        # Texts here and below, because a Path of a thousand parts takes long to parse.
        status = os.stat(place.path)  # noqa: PTH116
        if (status.st_dev, status.st_ino) in visited:
            continue
        visited.add((status.st_dev, status.st_ino))
        # Backwards, because the stack returns the last one first.
        for entry in reversed(_list_entries(place.path)):
            visit = _plan_visit(entry, place.real_folder, place.above)
            if visit is not None:
                waiting.append(visit)


@dataclass(frozen=True)
class _Visit:
    """A file or a folder that `_walk_files` comes to.

    Attributes:
        path: its path.
        real_folder: real path of the folder; None for a file.
        above: real paths of the folders that hold the links on the way there.
    """

    path: str
    real_folder: str | None
    above: tuple[str, ...]


def _plan_visit(entry: os.DirEntry[str], real_folder: str, above: tuple[str, ...]) -> _Visit | None:
    """Return the visit of an entry of a folder; None for a link to a folder that contains it."""
    if not entry.is_dir():
        return _Visit(entry.path, None, ())
    if not entry.is_symlink():
        return _Visit(entry.path, f"{real_folder}{os.sep}{entry.name}", above)
    target = os.path.realpath(entry.path)
    above = (*above, real_folder)
    return None if _contains_any(target, above) else _Visit(entry.path, target, above)


def _contains_any(folder: str, others: Collection[str]) -> bool:
    """Return whether a folder is one of some others, or contains one; all are real paths."""
    beginning = folder.rstrip(os.sep) + os.sep
    return any(f"{other}{os.sep}".startswith(beginning) for other in others)


def _list_entries(folder: str | Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        visible_entries = [
            entry
            for entry in entries
            if not entry.name.startswith(".") and entry.name.lower() not in SYSTEM_FILES
        ]
    return sorted(visible_entries, key=lambda entry: entry.name)


def _labels(images: Sequence[ImageFile]) -> Array:
    return np.array([image.label for image in images])


def _file_state(path: Path) -> bytes:
    try:
        status = path.stat()
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}.") from None
    return f"\0{status.st_size} {status.st_mtime_ns}\0".encode()
