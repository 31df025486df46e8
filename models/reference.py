"""The name of a factory of a user's own, and the files that are theirs."""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.errors import RequestError

HOW_TO_NAME = "'nets.py:function' for a function in a file, 'package.module:function' for one that can be imported"

_OURS = ("models", "search", "experiments")
_LIBRARIES = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib"))


@dataclass(frozen=True)
class Reference:
    """A function of the user's that makes models.

    Attributes:
        text: as the user wrote it.
        file: where it is defined, absolute; None for one in a module that can be imported.
        module: where it is defined, dotted; None for one in a file.
        function: its name there.
        folders: where the user's modules are looked for, absolute, in this order; the last is the current folder.
    """

    text: str
    file: Path | None
    module: str | None
    function: str
    folders: tuple[Path, ...]

    def digest(self) -> str | None:
        """Return the SHA-256 of the source file that the function is in; None if it is not among the user's folders.

        What that file imports is not in it.
        """
        candidates = [self.file] if self.file is not None else []
        if self.module is not None:
            path = Path(*self.module.split("."))
            candidates += [folder / file for folder in self.folders for file in (f"{path}.py", path / "__init__.py")]
        found = next((file for file in candidates if file.is_file()), None)
        return None if found is None else hashlib.sha256(found.read_bytes()).hexdigest()

    def shown(self, file: str) -> str | None:
        """Return what to call a source file in a message if it is the user's own; None if it is a library's or ours."""
        path = Path(file)
        if not path.is_file():  # code without a file, such as "<string>"
            return None
        path = path.resolve()
        for root in self._roots():
            if path == root:
                return path.name
            if path.is_relative_to(root) and (self._is_inside_library(root) or not _is_library(path)):
                return str(path.relative_to(root))
        return None

    def _roots(self) -> list[Path]:
        """Files and folders that hold the user's own code."""
        roots = list(self.folders)
        if self.file is not None:
            roots.append(self.file)
            roots.append(self.file.parent)
        elif self.module is not None and (top := sys.modules.get(self.module.partition(".")[0])) is not None:
            roots += [Path(folder).resolve() for folder in getattr(top, "__path__", [])]
        return roots

    def _is_inside_library(self, root: Path) -> bool:
        """Whether a root is the user's although it lies where libraries are: a package of theirs that is installed."""
        return root not in self.folders and self.module is not None and _is_library(root)


def is_reference(text: str) -> bool:
    """Whether a family's name means a factory of one's own rather than a built-in family."""
    return ":" in text or text.endswith(".py")


def parse(text: str, folders: Sequence[str] = ()) -> Reference:
    """Read a reference, without importing what it names.

    Args:
        text: "nets.py:function" or "package.module:function".
        folders: where the user's files and modules are looked for, in this order; the current folder comes after them.

    Raises:
        RequestError: it is no such reference, or names a file that is not there.
    """
    place, _, function = text.rpartition(":")
    roots = (*(Path(folder).resolve() for folder in folders), Path.cwd())
    if function.isidentifier() and place.endswith(".py"):
        return Reference(text, _locate(text, place, roots), None, function, roots)
    if function.isidentifier() and place and all(part.isidentifier() for part in place.split(".")):
        return Reference(text, None, _foreign(text, place), function, roots)
    raise RequestError(f"a family of one's own must be named {HOW_TO_NAME}; received {text!r}.")


def _locate(text: str, place: str, folders: Sequence[Path]) -> Path:
    given = Path(place).expanduser()
    for folder in folders:  # joined to an absolute path, a folder is without effect
        if (folder / given).is_file():
            return (folder / given).resolve()
    where = "" if given.is_absolute() else f" in {' or '.join(dict.fromkeys(map(str, folders)))}"
    raise RequestError(f"family {text!r}: there is no file {place}{where}; mend the path or put the file there.")


def _foreign(text: str, module: str) -> str:
    """Refuse what would be looked for among our own packages, which come before the user's."""
    if module.partition(".")[0] in _OURS:
        raise RequestError(
            f"family {text!r}: the packages {', '.join(_OURS)} are Assay's own; name a file of yours by its path, such "
            f"as '{module.replace('.', '/')}.py:function'."
        )
    return module


def _is_library(path: Path) -> bool:
    house = Path(__file__).resolve().parents[1]
    ours = tuple(house / package for package in _OURS)
    return any(path.is_relative_to(library) for library in (*_LIBRARIES, *ours))
