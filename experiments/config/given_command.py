"""The command that was given, as it is recorded: without secrets, and without paths elsewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.search.system.urls import scrub_secrets

PATH, URL = "<path>", "<url>"
"""What stands in the place of a path outside of the current folder, and of a store's address."""

_MOST_CHARACTERS = 2_000
_URL_OPTIONS = ("--storage", "--tracking-uri")
# Behind any of these, a path may begin.
_SEPARATORS = re.compile(r"([\s=:,;|<>'\"\[\](){}])")


def mask_command(words: Sequence[str], folder: Path | None = None) -> str:
    """Return a command line as one line of a shell.

    Args:
        words: the program's name and its arguments.
        folder: the current folder; None: that of this process.

    Example:
        >>> mask_command(["assay", "run", "mnist-mlp", "--data-dir", "/home/ann/data"])
        "assay run mnist-mlp --data-dir '<path>'"
    """
    masked: list[str] = []
    for word in words:
        option, equals, _ = word.partition("=")
        if masked and masked[-1] in _URL_OPTIONS:
            masked.append(URL)
        elif equals and option in _URL_OPTIONS:
            masked.append(f"{option}={URL}")
        else:
            masked.append(mask_paths(word, folder))
    return _shorten(scrub_secrets(shlex.join(masked)))


def mask_call(function: str, argument: object, options: Mapping[str, Any]) -> str:
    """Return the call of a Python function as it is recorded.

    Example:
        >>> mask_call("run", "mnist-mlp", {"seed": 1, "tracking_uri": "http://ann:pw@host"})
        "run('mnist-mlp', seed=1, tracking_uri=<url>)"
    """
    urls = {option.removeprefix("--").replace("-", "_") for option in _URL_OPTIONS}
    arguments = [] if argument is None else [_mask_value(argument)]
    arguments += [
        f"{name}={URL if name in urls and value is not None else _mask_value(value)}"
        for name, value in options.items()
    ]
    return _shorten(scrub_secrets(f"{function}({', '.join(arguments)})"))


def _mask_value(value: object) -> str:
    # A Path's own `repr` names its class.
    return mask_paths(repr(str(value) if isinstance(value, Path) else value))


def _shorten(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."


def mask_paths(text: str, folder: Path | None = None) -> str:
    """Return a text with paths outside of a folder replaced.

    A path has no certain end, so all behind its beginning is replaced, up to the end of the text,
    or of the quotation.

    Args:
        text: one argument, which may hold paths anywhere, such as "name=npz:/data/x.npz".
        folder: paths in it are kept, relative to it; None: the current folder.

    Example:
        >>> mask_paths("name=npz:/data/x.npz"), mask_paths("./mine.toml")
        ('name=npz:<path>', './mine.toml')
    """
    folder = Path.cwd() if folder is None else folder
    inside = _relative_to(text, folder)
    if inside is not None:
        return inside
    kept: list[str] = []
    quote, is_masked = "", False
    for piece in _SEPARATORS.split(text):
        is_quote = piece in ("'", '"')
        if is_masked and not (is_quote and piece == quote):
            continue
        if is_quote:
            quote = "" if piece == quote else quote or piece
        is_masked = _leads_elsewhere(piece)
        kept.append(PATH if is_masked else piece)
    return "".join(kept)


def _leads_elsewhere(piece: str) -> bool:
    return piece.startswith(("/", "~", "\\")) or ".." in re.split(r"[/\\]", piece)


def _relative_to(text: str, folder: Path) -> str | None:
    """Return an absolute path in the folder relative to it; None for any other text."""
    path = Path(text)
    if not path.is_absolute() or ".." in path.parts or not path.is_relative_to(folder):
        return None
    return f"./{path.relative_to(folder)}"
