"""Importing a user's own factory: in a worker, behind our own packages, a file under a name of its own."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from models.blame import blamed
from models.errors import RequestError
from models.names import suggestion
from models.reference import Reference

Factory = Callable[..., Any]


def load(reference: Reference) -> Factory:
    """Return the function that a reference names. A file is run once in a process, however often it is asked for.

    The user's folders come last on the path on which modules are found, so that nothing there hides a library or one of
    our packages; a file's own folder is among them, so that it can import its neighbours.

    Raises:
        RequestError: it can't be imported, there is no such function, or it can't be called.
    """
    neighbours = () if reference.file is None else (reference.file.parent,)
    for folder in map(str, (*reference.folders, *neighbours)):
        if folder not in sys.path:
            sys.path.append(folder)
    with blamed(reference, "importing it"):
        module = _import_module(reference) if reference.file is None else _import_file(reference.file)
    made = getattr(module, reference.function, None)
    if made is None:
        known = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        raise RequestError(
            f"family {reference.text!r}: there is no function {reference.function!r} in it; it has "
            f"{', '.join(known) or 'none at all'}.{suggestion(reference.function, known)}"
        )
    if not callable(made):
        raise RequestError(
            f"family {reference.text!r}: must name a function; received {reference.function} = {made!r:.80}."
        )
    return made  # type: ignore[no-any-return]


def _import_module(reference: Reference) -> ModuleType:
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
    # Under its own name a file called models.py would take the place of our package, and random.py of a library.
    name = f"_own_{hashlib.sha256(str(file).encode()).hexdigest()[:16]}_{file.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None, "the name ends in .py"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs, as Python's own import has it: dataclasses look themselves up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
