"""The files of a folder of images: `train/<class>/` and `test/<class>/`, listed without opening any.

In a class's folder everything is an image of that class, in folders within it too, but for hidden files and what
operating systems leave behind. Links are followed, but for those that lead back to a folder they lie in. Beside `train`
and `test` there may be whatever else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.errors import RequestError
from models.names import suggestion

LAYOUT = "a folder of images must hold train/<class>/ and test/<class>/"

DROPPINGS = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx"}
"""What Windows and macOS leave in folders of images without being asked, in lower case; .DS_Store is hidden anyway."""


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
        RequestError: one of the two is missing, cannot be read or holds no image; a class of `train` without images,
            or one of `test` that `train` lacks; a file beside the classes' folders.
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
        raise RequestError(f"{root / 'test'} must hold images that are for testing alone: it holds none.")
    return tree


def _classes(folder: Path) -> dict[str, Path]:
    """Return the folders of a part's classes by name, sorted."""
    if not folder.is_dir():
        raise RequestError(f"{LAYOUT}: there is no folder {folder}; make it.")
    classes = {entry.name: Path(entry.path) for entry in _entries(folder)}
    for name, path in classes.items():
        if not path.is_dir():
            raise RequestError(f"{LAYOUT}: {path} lies in no class's folder; move it into one, or away.")
        if not name.isprintable():
            raise RequestError(f"the name of a class's folder must be readable text; received {name!r}: rename it.")
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
    """Yield whatever lies in a class's folder; `above` are the real paths of the folders that it lies in."""
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
        kept = [entry for entry in entries if not entry.name.startswith(".") and entry.name.lower() not in DROPPINGS]
    return sorted(kept, key=lambda entry: entry.name)
