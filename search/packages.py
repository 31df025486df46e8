"""Packages that some parts need and that do not come with Assay."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from models.errors import RequestError


def check_installed(part: str, packages: Mapping[str, str], extra: str | None = None) -> None:
    """See that a part's packages are there, without importing any of them.

    Args:
        part: what needs them, as an error calls it: "sampler 'cmaes'".
        packages: what `pip install` calls each package, by the name it is imported under.
        extra: Assay's own extra that brings them, if there is one.

    Raises:
        RequestError: one is missing; the message says what installs it, in a checkout as in an installed Assay.
    """
    missing = [name for module, name in packages.items() if importlib.util.find_spec(module) is None]
    if missing:
        known = "" if extra is None else f" (Assay's extra {extra!r})"
        raise RequestError(
            f"{part} needs {' and '.join(missing)}, not installed beside Assay: "
            f"run pip install {' '.join(missing)} in Assay's environment{known}, or choose another."
        )
