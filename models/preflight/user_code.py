"""The user's code: its files, their digests, and how it is imported."""

from __future__ import annotations

import ast
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from assay.models.architectures.custom_import import Factory, FactoryReference, is_library
from assay.models.code_files import CodeFile, read_code_files
from assay.models.errors import RequestError

_CODE_SUFFIXES = (".py", ".pyc")
_INSTALLED = ("site-packages", "dist-packages")
"""Folders of libraries, also of those in another environment on the path."""


class FileRecorder:
    """Records the files of the user that code opens to read.

    Python reports each `open` to audit hooks. Libraries that open files in C report nothing; of
    these h5py is asked, which reads Keras' weights.

    Args:
        reference: the factory, which knows the user's folders.
    """

    # A hook can't be removed, so there is one, which does nothing while nothing is recorded.
    _active: FileRecorder | None = None
    _is_installed = False

    def __init__(self, reference: FactoryReference) -> None:
        self._reference = reference
        self._opened: set[Path] = set()
        self._written: set[Path] = set()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record in this context."""
        if not FileRecorder._is_installed:
            sys.addaudithook(FileRecorder._on_event)
            FileRecorder._is_installed = True
        FileRecorder._active = self
        try:
            with _recording_hdf5() as files:
                yield
            self._opened.update(files)
        finally:
            FileRecorder._active = None

    @property
    def files(self) -> set[Path]:
        """The files that were only read, without Python's own and hidden ones."""
        return {path for path in self._opened - self._written if path.is_file()}

    @staticmethod
    def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and FileRecorder._active is not None:
            FileRecorder._active._record(*arguments[:3])

    def _record(self, path: object, mode: object, flags: object) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return  # a file descriptor
        file = Path(os.fsdecode(path)).absolute()
        if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR):
            self._written.add(file)
            return
        if file.suffix not in _CODE_SUFFIXES:
            self._opened.add(file)


@contextmanager
def _recording_hdf5() -> Iterator[list[Path]]:
    """Record the HDF5 files, such as of `load_weights`, that are opened in this context."""
    import h5py

    files: list[Path] = []
    original = h5py.File.__init__

    @functools.wraps(original)
    def open_file(file: Any, name: Any, *args: Any, **kwargs: Any) -> None:
        original(file, name, *args, **kwargs)
        if isinstance(name, str | bytes | os.PathLike) and file.mode == "r":
            files.append(Path(os.fsdecode(name)).absolute())

    h5py.File.__init__ = open_file
    try:
        yield files
    finally:
        h5py.File.__init__ = original


def read_user_files(reference: FactoryReference, opened: set[Path]) -> list[CodeFile]:
    """Read every file that the factory's code consists of.

    Args:
        reference: the factory; its module has been imported.
        opened: further files that it read.
    """
    modules = {Path(file) for _, file in iter_user_modules(reference)}
    named: list[tuple[str, Path]] = []
    for path in sorted(modules | opened):
        name = reference.display_name(str(path))
        if name is None and path in modules:
            name = path.name  # a module from a folder that the user put on the path
        if name is not None and not any(part.startswith(".") for part in Path(name).parts):
            named.append((name, path))
    return read_code_files(named)


def digests_by_name(files: Iterable[CodeFile]) -> dict[str, str]:
    """Return the digests of files by displayed name."""
    digests: dict[str, str] = {}
    for file in files:
        # Two files may have one name, in two of the user's folders.
        known = f"{digests[file.name]} " if file.name in digests else ""
        digests[file.name] = f"{known}{file.digest}"
    return digests


def check_user_files(reference: FactoryReference, known: Mapping[str, str]) -> None:
    """Check that the user's modules are those of the preflight check.

    A worker that replaces another in the middle of a sweep imports them again.

    Args:
        reference: the factory; its module has been imported.
        known: digests by displayed name; empty if they are unknown.

    Raises:
        RequestError: one has changed.
    """
    for name, digest in digests_by_name(read_user_files(reference, set())).items():
        if known.get(name, digest) != digest:
            raise RequestError(
                f"{name} must stay as it was while a sweep runs, so that all trials train the same "
                "model: received a file that has changed since; end the sweep, and start a new "
                "study with --study NAME."
            )


def iter_user_modules(reference: FactoryReference) -> Iterator[tuple[ModuleType, str]]:
    """Iterate over the imported modules of the user, with their files."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and _is_user_file(reference, file):
            yield module, file


@functools.cache
def _is_user_file(reference: FactoryReference, file: str) -> bool:
    # A process has thousands of modules, and several checks go through them.
    if reference.display_name(file) is not None:
        return True
    path = Path(file).resolve()
    is_installed = any(part in _INSTALLED for part in path.parts) or is_library(path)
    return path.suffix == ".py" and path.is_file() and not is_installed


def float_parameters(function: Factory) -> list[str]:
    """Return the parameters of a factory whose annotation or default is a float."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some callables written in C have no signature
        return []
    return [
        parameter.name
        for parameter in parameters
        if isinstance(parameter.default, float) or _is_float(parameter.annotation)
    ]


def parameter_names(function: Factory) -> list[str]:
    """Return the names of a factory's parameters, without `*args` and `**kwargs`."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def _is_float(annotation: object) -> bool:
    # With `from __future__ import annotations` an annotation is a text.
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    parts = text.replace("typing.", "").replace("Optional[", "").rstrip("]").split("|")
    return {part.strip() for part in parts} - {"None"} == {"float"}


def iter_globals(reference: FactoryReference) -> Iterator[object]:
    """Iterate over the globals of the user's modules, with what lists and classes among them hold.

    Args:
        reference: the factory.
    """
    for _, _, item in _iter_named_globals(reference):
        yield item


def find_global(
    reference: FactoryReference, is_owner: Callable[[object], bool]
) -> tuple[object, str] | None:
    """Return an object that a module of the user has as a global, and where it is assigned.

    Args:
        reference: the factory.
        is_owner: whether an object is looked for; what lists, dictionaries and classes hold is
            tested too.

    Returns:
        The object and a text such as "nets.py, line 4"; None if there is none.
    """
    for file, name, item in _iter_named_globals(reference):
        if is_owner(item):
            line = _find_line(Path(file), name)
            place = name if line is None else f"line {line}"
            return item, f"{reference.display_name(file) or Path(file).name}, {place}"
    return None


def _iter_named_globals(reference: FactoryReference) -> Iterator[tuple[str, str, object]]:
    """Iterate over file, name and value of globals; a list comes as its items."""
    for module, file in iter_user_modules(reference):
        for name, value in list(vars(module).items()):
            for item in _iter_items(value, module.__name__):
                yield file, name, item


def _iter_items(value: object, module: str) -> Iterator[object]:
    """Iterate over an object, or over what a list, a dictionary, or a class of the module holds."""
    if isinstance(value, Mapping):
        yield from list(value.values())
    elif isinstance(value, list | tuple | set):
        yield from value
    else:
        yield value
        owner = value if isinstance(value, type) else type(value)
        if owner.__module__ == module:
            yield from list(getattr(value, "__dict__", {}).values())


def _find_line(file: Path, name: str) -> int | None:
    """Return the line of a module's last assignment to a global name."""
    lines = [
        statement.lineno
        for statement in ast.parse(file.read_bytes()).body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for target in (
            statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        )
        if isinstance(target, ast.Name) and target.id == name
    ]
    return lines[-1] if lines else None
