"""The user's code and the installed packages as artifacts.

What a journal says of them may come from elsewhere: names lead nowhere else, and nothing is run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from assay.models.code_files import CodeFile

_MOST_NAME_BYTES = 100
_MOST_PARTS = 8


def artifact_name(name: str) -> str:
    """Return a file's name as the name of an artifact, which leads to no other folder.

    Example:
        >>> artifact_name("nets/blocks.py"), artifact_name("../.bashrc")
        ('nets/blocks.py', '%2e./%2ebashrc')
    """
    parts = [_safe_part(part) for part in re.split(r"[/\\]", name) if part]
    safe = "/".join(parts)
    if not parts or len(parts) > _MOST_PARTS or len(safe.encode()) > 2 * _MOST_NAME_BYTES:
        digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:16]
        return "-".join(filter(None, (*parts[-1:], digest)))
    return safe


def _safe_part(part: str) -> str:
    kept = "".join(
        letter
        if letter.isascii() and (letter.isalnum() or letter in "-_. ")
        else "".join(f"%{byte:02x}" for byte in letter.encode(errors="surrogatepass"))
        for letter in part
    )
    kept = f"%2e{kept[1:]}" if kept.startswith(".") else kept
    if len(kept) <= _MOST_NAME_BYTES:
        return kept
    digest = hashlib.sha256(part.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"{kept[: _MOST_NAME_BYTES - 20]}-{digest}"


def write_code_files(files: Sequence[CodeFile], folder: Path) -> None:
    """Write the recorded files of the user's code into a folder that is ours alone."""
    for name, file in name_files(files).items():
        if file.text is not None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text, encoding="utf-8", errors="backslashreplace", newline="")


def name_files(files: Sequence[CodeFile]) -> dict[str, CodeFile]:
    """Return files by the name of their artifact; a name that occurs twice gets the digest."""
    named: dict[str, CodeFile] = {}
    for file in files:
        name = artifact_name(file.name)
        # A file can't have the name of a folder either.
        taken = any(
            name == other or other.startswith(f"{name}/") or name.startswith(f"{other}/")
            for other in named
        )
        named[f"{artifact_name(file.digest)[:64]}-{name.replace('/', '-')}" if taken else name] = (
            file
        )
    return named


def format_digests(files: Sequence[CodeFile]) -> str:
    """Return a line for each file: SHA-256, name, and why its text was left out, if it was."""
    lines = []
    for name, file in name_files(files).items():
        why = f"  (left out: {file.left_out or 'no text'})" if file.text is None else ""
        lines.append(f"{artifact_name(file.digest)}  code/{name}{why}")
    return "".join(f"{line}\n" for line in lines)


def format_packages(packages: Mapping[str, str]) -> str:
    """Return a line for each package: NAME==VERSION."""
    return "".join(f"{name}=={version}\n" for name, version in packages.items())


def read_packages(text: str) -> dict[str, str]:
    """Return the versions of packages by name; see `format_packages`."""
    pairs = (line.partition("==") for line in text.splitlines())
    return {name: version for name, equals, version in pairs if equals}
