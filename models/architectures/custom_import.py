"""The name of a factory of a user's own, and the files that are theirs."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from assay.models.errors import RequestError
from assay.models.names import suggestion

HOW_TO_NAME = "'nets.py:function' for a function in a file, 'package.module:function' for one that can be imported"

_LIBRARIES = tuple(
    Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")
)
_ROOT = Path(__file__).resolve().parents[2]
_OWN_PACKAGES = (
    _ROOT / "models",
    _ROOT / "search",
    _ROOT / "experiments",
)  # of a checkout; a wheel's is a library


@dataclass(frozen=True)
class FactoryReference:
    """A function of the user's that makes models.

    Attributes:
        text: as the user wrote it.
        file: where it is defined, absolute; None for one in a module that can be imported.
        module: where it is defined, dotted; None for one in a file.
        function: its name there.
        folders: where the user's modules are looked for, absolute, in this order; the last is the
            current folder.
    """

    text: str
    file: Path | None
    module: str | None
    function: str
    folders: tuple[Path, ...]

    def digest(self) -> str | None:
        """Return the SHA-256 of the source file that the function is in; None if it is not among
        the user's folders.

        What that file imports is not in it.
        """
        candidates = [self.file] if self.file is not None else []
        if self.module is not None:
            path = Path(*self.module.split("."))
            candidates += [
                folder / file
                for folder in self.folders
                for file in (f"{path}.py", path / "__init__.py")
            ]
        found = next((file for file in candidates if file.is_file()), None)
        return None if found is None else hashlib.sha256(found.read_bytes()).hexdigest()

    def shown(self, file: str) -> str | None:
        """Return what to call a source file in a message if it is the user's own; None if it is a
        library's or ours.
        """
        path = Path(file)
        if not path.is_file():  # code without a file, such as "<string>"
            return None
        path = path.resolve()
        for root in self._roots():
            if path == root:
                return path.name
            if path.is_relative_to(root) and (
                self._is_inside_library(root) or not _is_library(path)
            ):
                return str(path.relative_to(root))
        return None

    def _roots(self) -> list[Path]:
        """Files and folders that hold the user's own code."""
        roots = list(self.folders)
        if self.file is not None:
            roots.append(self.file)
            roots.append(self.file.parent)
        elif (
            self.module is not None
            and (top := sys.modules.get(self.module.partition(".")[0])) is not None
        ):
            roots += [Path(folder).resolve() for folder in getattr(top, "__path__", [])]
        return roots

    def _is_inside_library(self, root: Path) -> bool:
        """Whether a root is the user's although it lies where libraries are: a package of theirs
        that is installed.
        """
        return root not in self.folders and self.module is not None and _is_library(root)


def is_reference(text: str) -> bool:
    """Whether a family's name means a factory of one's own rather than a built-in family."""
    return ":" in text or text.endswith(".py")


def parse_reference(text: str, folders: Sequence[str] = ()) -> FactoryReference:
    """Read a reference, without importing what it names.

    Args:
        text: "nets.py:function" or "package.module:function".
        folders: where the user's files and modules are looked for, in this order; the current
            folder comes after them.

    Raises:
        RequestError: it is no such reference, or names a file that is not there.
    """
    place, _, function = text.rpartition(":")
    roots = (*(Path(folder).resolve() for folder in folders), Path.cwd())
    if function.isidentifier() and place.endswith(".py"):
        return FactoryReference(text, _locate(text, place, roots), None, function, roots)
    if function.isidentifier() and place and all(part.isidentifier() for part in place.split(".")):
        return FactoryReference(text, None, place, function, roots)
    raise RequestError(f"a family of one's own must be named {HOW_TO_NAME}; received {text!r}.")


def _locate(text: str, place: str, folders: Sequence[Path]) -> Path:
    given = Path(place).expanduser()
    for folder in folders:  # joined to an absolute path, a folder is without effect
        if (folder / given).is_file():
            return (folder / given).resolve()
    where = "" if given.is_absolute() else f" in {' or '.join(dict.fromkeys(map(str, folders)))}"
    raise RequestError(
        f"family {text!r}: there is no file {place}{where}; mend the path or put the file there."
    )


def _is_library(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in (*_LIBRARIES, *_OWN_PACKAGES))


# Whose mistake an exception is: one that comes out of a user's own code names the line there.


_LONGEST_CHARACTERS = 300  # some backends' messages go on for pages


@contextmanager
def attribute_user_errors(
    reference: FactoryReference | None, otherwise: str | None = None
) -> Iterator[None]:
    """Turn what goes wrong in a user's code into a RequestError that names the line of their file.

    An exception whose traceback passes through no file of theirs, and a request that was refused,
    stay what they are.

    Args:
        reference: whose code runs; None if it is all our own.
        otherwise: what was being done with their code, such as "calling it on 2 images": if given,
            an exception that names no line of theirs is theirs all the same.

    Raises:
        RequestError: such as "nets.py, line 12: ValueError: text".
    """
    try:
        yield
    except RequestError:
        raise
    # A script that ends with sys.exit() must not end the worker.
    except (Exception, SystemExit) as error:
        if reference is None:
            raise
        if line_of(error, reference) is not None:
            raise RequestError(format_error(error, reference)) from error
        if otherwise is not None:
            raise RequestError(
                f"{reference.text}, {otherwise}: {format_error(error, None)}"
            ) from error
        raise


def line_of(error: BaseException, reference: FactoryReference) -> str | None:
    """Return the innermost line of the user's own files that an exception came through, such as
    "nets.py, line 12".
    """
    store_paths = [
        (frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    if isinstance(error, SyntaxError) and error.filename is not None and error.lineno is not None:
        store_paths.append((error.filename, error.lineno))
    for file, line in reversed(store_paths):
        shown = reference.shown(file)
        if shown is not None:
            return f"{shown}, line {line}"
    return None


def format_error(error: BaseException, reference: FactoryReference | None) -> str:
    """Return an exception in one line: where in the user's own files it happened, if it did, its
    type, its text.
    """
    line = None if reference is None else line_of(error, reference)
    said = _said(error)
    return said if line is None else f"{line}: {said}"


def _said(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}"[:_LONGEST_CHARACTERS].removesuffix(
        ": "
    )


# Importing a user's own factory: in a worker, behind our own packages, a file under a name of its
# own.


Factory = Callable[..., Any]


def load_factory(reference: FactoryReference) -> Factory:
    """Return the function that a reference names. A file is run once in a process, however often it
    is asked for.

    The user's folders come last on the path on which modules are found, so that nothing there hides
    a library or one of our packages; a file's own folder is among them, so that it can import its
    neighbours.

    Raises:
        RequestError: it can't be imported, there is no such function, or it can't be called.
    """
    neighbours = () if reference.file is None else (reference.file.parent,)
    for folder in map(str, (*reference.folders, *neighbours)):
        if folder not in sys.path:
            sys.path.append(folder)
    with attribute_user_errors(reference, "importing it"):
        module = (
            _import_module(reference) if reference.file is None else _import_file(reference.file)
        )
    made = getattr(module, reference.function, None)
    if made is None:
        known = [
            name
            for name, value in vars(module).items()
            if getattr(value, "__module__", "") == module.__name__
        ]
        raise RequestError(
            f"family {reference.text!r}: there is no function {reference.function!r} in it; it has "
            f"{', '.join(known) or 'none at all'}.{suggestion(reference.function, known)}"
        )
    if not callable(made):
        raise RequestError(
            f"family {reference.text!r}: must name a function; received {reference.function} = {made!r:.80}."
        )
    return made  # type: ignore[no-any-return]


def _import_module(reference: FactoryReference) -> ModuleType:
    assert reference.module is not None
    try:
        return importlib.import_module(reference.module)
    except ModuleNotFoundError as error:
        # What the module itself imports and has not got is another mistake, with a line in it.
        if error.name is None or not f"{reference.module}.".startswith(f"{error.name}."):
            raise
        raise RequestError(
            f"family {reference.text!r}: there is no module {error.name!r}, neither installed nor in "
            f"{' or '.join(dict.fromkeys(map(str, reference.folders)))}; mend the name, or name its file."
        ) from None


def _import_file(file: Path) -> ModuleType:
    # Under its own name a file called models.py would take the place of our package, and random.py
    # of a library.
    name = f"_own_{hashlib.sha256(str(file).encode()).hexdigest()[:16]}_{file.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None, "the name ends in .py"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = (
        module  # before it runs, as Python's own import has it: dataclasses look themselves up there
    )
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
