"""User-defined factories: names, imports, and errors in their code."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
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
from assay.models.files import check_path_length
from assay.models.names import suggestion

HOW_TO_NAME = (
    "'nets.py:function' for a function in a file, "
    "'package.module:function' for one that can be imported"
)

_LIBRARIES = tuple(
    Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")
)
_LIBRARY_PREFIXES = tuple(f"{folder}{os.sep}" for folder in _LIBRARIES)
_ROOT = Path(__file__).resolve().parents[2]
# Of a checkout. Installed from a wheel, the packages lie among the libraries.
_ASSAY_PACKAGES = (_ROOT / "models", _ROOT / "search", _ROOT / "experiments")

_LONGEST_MESSAGE_CHARACTERS = 300  # messages of some backends have pages


@dataclass(frozen=True)
class FactoryReference:
    """The name of a user-defined function that makes models.

    Attributes:
        text: as the user wrote it.
        file: file that defines it, absolute; None for a module.
        module: dotted name of the module that defines it; None for a file.
        function: name of the function.
        folders: where the user's modules are looked for, absolute, in this order; the last is the
            current folder.
    """

    text: str
    file: Path | None
    module: str | None
    function: str
    folders: tuple[Path, ...]

    def digest(self) -> str | None:
        """Return the SHA-256 of the source file, without what that file imports.

        None if the file is not in the user's folders.
        """
        candidates = [self.file] if self.file is not None else []
        if self.module is not None:
            path = Path(*self.module.split("."))
            candidates += [
                folder / file
                for folder in self.folders
                for file in (f"{path}.py", path / "__init__.py")
            ]
        source = next((file for file in candidates if file.is_file()), None)
        return None if source is None else hashlib.sha256(source.read_bytes()).hexdigest()

    def display_name(self, file: str) -> str | None:
        """Return the displayed name of a user's file; None for other files."""
        # Most modules of a process are libraries: for those, resolving thousands of paths is saved.
        if self.module is None and file.startswith(_LIBRARY_PREFIXES):
            return None
        path = Path(file)
        if not path.is_file():  # code without a file, such as "<string>"
            return None
        path = path.resolve()
        for root in self._user_roots():
            if path == root:
                return path.name
            if path.is_relative_to(root) and (
                self._is_installed_package(root) or not is_library(path)
            ):
                return str(path.relative_to(root))
        return None

    def _user_roots(self) -> list[Path]:
        """Return the files and folders with the user's code."""
        roots = list(self.folders)
        if self.file is not None:
            return [*roots, self.file, self.file.parent]
        assert self.module is not None
        package = sys.modules.get(self.module.partition(".")[0])
        if package is not None:
            roots += [Path(folder).resolve() for folder in getattr(package, "__path__", [])]
        return roots

    def _is_installed_package(self, root: Path) -> bool:
        """Return whether a root is the user's installed package."""
        return root not in self.folders and self.module is not None and is_library(root)


def is_reference(text: str) -> bool:
    """Return whether a family's name names a factory."""
    return ":" in text or text.endswith(".py")


def parse_reference(text: str, folders: Sequence[str] = ()) -> FactoryReference:
    """Parse the name of a user-defined factory, without importing it.

    Args:
        text: "nets.py:function" or "package.module:function".
        folders: where the user's files and modules are looked for, in this order, before the
            current folder.

    Raises:
        RequestError: the name has another form, or the file does not exist.
    """
    place, _, function = text.rpartition(":")
    roots = (*(Path(folder).resolve() for folder in folders), Path.cwd())
    if function.isidentifier() and place.endswith(".py"):
        return FactoryReference(text, _locate_file(text, place, roots), None, function, roots)
    if function.isidentifier() and place and all(part.isidentifier() for part in place.split(".")):
        return FactoryReference(text, None, place, function, roots)
    raise RequestError(f"a user-defined family must be named {HOW_TO_NAME}; received {text!r}.")


def _locate_file(text: str, place: str, folders: Sequence[Path]) -> Path:
    try:
        path = Path(place).expanduser()
    except RuntimeError:  # pathlib's, if there is no such user
        path = Path(place)
    check_path_length(path, "the file of a user-defined family")
    for folder in folders:
        file = folder / path  # an absolute path stays itself
        if file.is_file():
            return file.resolve()
    where = "" if path.is_absolute() else f" in {_join_unique(folders)}"
    raise RequestError(
        f"family {text!r}: there is no file {place}{where}; correct the path or put the file there."
    )


def _join_unique(folders: Sequence[Path]) -> str:
    return " or ".join(dict.fromkeys(map(str, folders)))


def is_library(path: Path) -> bool:
    """Return whether a file belongs to Python, to an installed library or to Assay."""
    return any(path.is_relative_to(folder) for folder in (*_LIBRARIES, *_ASSAY_PACKAGES))


# Attributing errors
# ------------------
# An exception that comes out of the user's code is the user's to correct, so its message names the
# line in the user's file.


@contextmanager
def attribute_user_errors(
    reference: FactoryReference | None, otherwise: str | None = None
) -> Iterator[None]:
    """Turn exceptions of the user's code into RequestErrors.

    An exception whose traceback has no line of the user's files is raised as it is, and so is a
    RequestError.

    Args:
        reference: the factory whose code runs; None if no user-defined code runs.
        otherwise: what is done with the user's code, such as "calling it on 2 images". If given,
            an exception without a line of the user's files becomes a RequestError too.

    Raises:
        RequestError: such as "nets.py, line 12: ValueError: text".
    """
    try:
        yield
    except RequestError:
        raise
    # SystemExit too: a script that calls sys.exit() must not end the worker.
    except (Exception, SystemExit) as error:
        if reference is None:
            raise
        if find_user_line(error, reference) is not None:
            raise RequestError(format_error(error, reference)) from error
        if otherwise is not None:
            raise RequestError(
                f"{reference.text}, {otherwise}: {format_error(error, None)}"
            ) from error
        raise


def find_user_line(error: BaseException, reference: FactoryReference) -> str | None:
    """Return the innermost line of the user's code, such as "nets.py, line 12"."""
    locations = [
        (frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    if isinstance(error, SyntaxError) and error.filename is not None and error.lineno is not None:
        locations.append((error.filename, error.lineno))
    for file, line in reversed(locations):
        name = reference.display_name(file)
        if name is not None:
            return f"{name}, line {line}"
    return None


def format_error(error: BaseException, reference: FactoryReference | None) -> str:
    """Return an exception as one line, with the user's line first.

    Args:
        error: the exception.
        reference: the factory whose code ran; None to omit the line.
    """
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    one_line = f"{type(error).__name__}: {' '.join(text.split())}"
    message = one_line[:_LONGEST_MESSAGE_CHARACTERS].removesuffix(": ")
    line = None if reference is None else find_user_line(error, reference)
    return message if line is None else f"{line}: {message}"


# Importing
# ---------

Factory = Callable[..., Any]


def load_factory(reference: FactoryReference) -> Factory:
    """Import the function that a reference names.

    A file is run once per process.

    Raises:
        RequestError: the import fails, or the function does not exist or cannot be called.
    """
    # Last on the path, so that no user's file hides a library or one of Assay's packages. The
    # file's own folder, so that the file can import its neighbours.
    neighbours = () if reference.file is None else (reference.file.parent,)
    for folder in map(str, (*reference.folders, *neighbours)):
        if folder not in sys.path:
            sys.path.append(folder)
    with attribute_user_errors(reference, "importing it"):
        module = (
            _import_module(reference) if reference.file is None else _import_file(reference.file)
        )
    function = getattr(module, reference.function, None)
    if function is None:
        known = [
            name
            for name, value in vars(module).items()
            if getattr(value, "__module__", "") == module.__name__
        ]
        raise RequestError(
            f"family {reference.text!r}: there is no function {reference.function!r} in it; it has "
            f"{', '.join(known) or 'none at all'}.{suggestion(reference.function, known)}"
        )
    if not callable(function):
        raise RequestError(
            f"family {reference.text!r}: must name a function; "
            f"received {reference.function} = {function!r:.80}."
        )
    return function  # type: ignore[no-any-return]


def _import_module(reference: FactoryReference) -> ModuleType:
    assert reference.module is not None
    try:
        return importlib.import_module(reference.module)
    except ModuleNotFoundError as error:
        # A module that the user's module imports is missing: the line of that import is reported.
        if error.name is None or not f"{reference.module}.".startswith(f"{error.name}."):
            raise
        raise RequestError(
            f"family {reference.text!r}: there is no module {error.name!r}, neither installed nor "
            f"in {_join_unique(reference.folders)}; correct the name, or name its file."
        ) from None


def _import_file(file: Path) -> ModuleType:
    # A unique name: models.py or random.py must not replace Assay's package or a library.
    name = f"_own_{hashlib.sha256(str(file).encode()).hexdigest()[:16]}_{file.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None, "the name ends in .py"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs, as by Python's own import: dataclasses look up their module.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
