"""Names that a user typed, and the names that exist."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable, Mapping

from assay.models.errors import RequestError


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'X'?" with the nearest known names, or nothing when none is near."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(match) for match in near)}?" if near else ""


def check_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return `name` if it is one of `known`.

    Raises:
        RequestError: it is not; the message lists what is known and names the nearest.
    """
    options = list(known)
    if name in options:
        return name
    raise RequestError(
        f"unknown {kind} {name!r}: must be one of {', '.join(options)}.{suggestion(name, options)}"
    )


# Packages that some parts need and that do not come with Assay.


def check_installed(part: str, packages: Mapping[str, str], extra: str | None = None) -> None:
    """See that a part's packages are there, without importing any of them.

    Args:
        part: what needs them, as an error calls it: "sampler 'cmaes'".
        packages: what `pip install` calls each package, by the name it is imported under.
        extra: Assay's own extra that brings them, if there is one.

    Raises:
        RequestError: one is missing; the message says what installs it, in a checkout as in an
            installed Assay.
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
