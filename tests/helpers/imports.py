"""The modules of assay by their installed names, and their imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.helpers.paths import ROOT

PACKAGES = ("models", "search", "experiments")
"""The top-level folders of the code; `assay` itself is experiments/face."""

_FACE = ROOT / "experiments" / "face"


def sources(package: str) -> list[Path]:
    """Return the source files of a folder of the code."""
    return sorted((ROOT / package).rglob("*.py"))


def module_name(file: Path) -> str:
    """Return the installed name of a source file."""
    inside = file.relative_to(_FACE if file.is_relative_to(_FACE) else ROOT).with_suffix("")
    parts = inside.parts[:-1] if inside.name == "__init__" else inside.parts
    return ".".join(("assay", *parts))


def modules() -> dict[str, Path]:
    """Return the file of every module."""
    return {module_name(file): file for package in PACKAGES for file in sources(package)}


def imported(file: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports.

    This includes imports inside functions and imports for type checking.
    """
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def import_graph() -> Mapping[str, set[str]]:
    """Return the modules of assay that each module imports."""
    known = modules()
    return {
        name: {_nearest(target, known) for target in imported(file)} & set(known) - {name}
        for name, file in known.items()
    }


def _nearest(target: str, known: Mapping[str, Path]) -> str:
    """Return the module that an imported name is, or is an attribute of."""
    return target if target in known else target.rpartition(".")[0]
