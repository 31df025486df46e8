"""Checks of names that a user typed, and of installed packages."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable, Mapping

from assay.models.errors import RequestError


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'X'?" or an empty string.

    Args:
        name: what the user typed.
        known: the names that exist; up to three that are close to `name` are suggested.

    Example:
        >>> suggestion("adm", ["sgd", "adam"])
        " Did you mean 'adam'?"
    """
    close_names = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(map(repr, close_names))}?" if close_names else ""


def check_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return `name` if it is one of `known`.

    Args:
        kind: what is named, for the error message, such as "optimizer".
        name: what the user typed.
        known: the names that exist.

    Raises:
        RequestError: the name is unknown; the message lists the known names and the closest ones.
    """
    options = list(known)
    if name in options:
        return name
    raise RequestError(
        f"unknown {kind} {name!r}: must be one of {', '.join(options)}.{suggestion(name, options)}"
    )


def check_installed(part: str, packages: Mapping[str, str], extra: str | None = None) -> None:
    """Check that packages are installed, without importing them.

    Args:
        part: what needs them, for the error message, such as "sampler 'cmaes'".
        packages: name for `pip install`, by the name of the module.
        extra: Assay's extra that installs them, if there is one.

    Raises:
        RequestError: one of them is not installed; the message names the command that installs it.
    """
    missing = [
        name for module, name in packages.items() if importlib.util.find_spec(module) is None
    ]
    if missing:
        known = "" if extra is None else f" (Assay's extra {extra!r})"
        raise RequestError(
            f"{part} needs {' and '.join(missing)}, not installed beside Assay: "
            f"run pip install {' '.join(missing)} in Assay's environment{known}, or choose another."
        )
