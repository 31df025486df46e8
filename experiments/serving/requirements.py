"""Packages that a served model needs, and the environments in which MLflow installs them."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from assay.models.code_files import CodeFile

REQUIREMENTS_FILE = "requirements.txt"

_ALWAYS = ("mlflow", "keras", "numpy", "pandas")
_BACKENDS: Mapping[str, Sequence[str]] = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "jax": ("jax",),
    "torch": ("torch",),
}
"""Names under which a backend is distributed."""

_BUILD_PACKAGES = ("pip", "setuptools", "wheel")
_VERSION = re.compile(r"[0-9A-Za-z.!_-]{1,100}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")


def list_requirements(
    backend: str, packages: Mapping[str, str], code: Sequence[CodeFile], needs_pillow: bool
) -> list[str]:
    """Return the requirements, sorted by name: NAME==VERSION, or NAME if no version is known.

    Versions are those that the network was trained with, where they are recorded, else those that
    are installed. That of MLflow is the installed one, which writes the model.

    Args:
        backend: the Keras backend.
        packages: versions of the packages that were installed for the training, by name.
        code: the user's files that are kept with the model; what they import is required too.
        needs_pillow: whether images are resized.

    Raises:
        ValueError: there is no such backend.
    """
    if backend not in _BACKENDS:
        raise ValueError(f"there is no backend {backend!r}")
    recorded = {name: version for name, version in packages.items() if name != "mlflow"}
    names = _BACKENDS[backend]
    chosen = next((name for name in names if name in recorded), None) or next(
        (name for name in names if _installed(name) is not None), names[0]
    )
    wanted = {*_ALWAYS, chosen, *(("pillow",) if needs_pillow else ())}
    wanted.update(_list_imported(code, packages))
    return [_pin(name, recorded.get(name) or _installed(name)) for name in sorted(wanted)]


def describe_python_env() -> dict[str, Any]:
    """Return the content of `python_env.yaml`, for virtualenv and uv."""
    return {
        "python": platform.python_version(),
        "build_dependencies": [_pin(name, _installed(name)) for name in _BUILD_PACKAGES],
        "dependencies": [f"-r {REQUIREMENTS_FILE}"],
    }


def describe_conda_env(requirements: Sequence[str]) -> dict[str, Any]:
    """Return the content of `conda.yaml`."""
    return {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [
            f"python={platform.python_version()}",
            "pip",
            {"pip": [*requirements]},
        ],
    }


def _pin(name: str, version: str | None) -> str:
    # A local version, such as 2.5+cpu, is on no index. Any other text could be an option of pip.
    public = (version or "").partition("+")[0]
    return f"{name}=={public}" if _VERSION.fullmatch(public) else name


@functools.cache
def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _list_imported(code: Sequence[CodeFile], packages: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of the packages that the user's files import."""
    own = {part for file in code for part in PurePosixPath(file.name).with_suffix("").parts}
    modules = {module for file in code for module in _read_imports(file)}
    for module in sorted(modules - own - sys.stdlib_module_names):
        names = [module.replace("_", "-").lower()]
        if names[0] not in packages and names[0] not in _SAME_NAME:
            # Of a package whose module has another name, such as sklearn.
            names = [
                name.replace("_", "-").lower()
                for name in _distributions().get(module, ())
                if name.replace("_", "-").lower() in packages
            ]
        yield from (name for name in names if _NAME.fullmatch(name) and name != "assay")


_SAME_NAME = {*_ALWAYS, *_BACKENDS}


@functools.cache
def _distributions() -> Mapping[str, Sequence[str]]:
    return importlib.metadata.packages_distributions()


def _read_imports(file: CodeFile) -> set[str]:
    """Return the first parts of the names of the modules that a file imports."""
    if file.text is None or not file.name.endswith(".py"):
        return set()
    try:
        tree = ast.parse(file.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found
