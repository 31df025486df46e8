"""What makes a study that study: what all its trials must share to be comparable."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from models.errors import RequestError


def check_identity(study: str, known: Mapping[str, Any] | None, asked: Mapping[str, Any]) -> None:
    """Compare a study's identity, as it was stored, with the one that is asked for.

    Raises:
        RequestError: they differ: trials of the two could not be compared. The message names every difference.
    """
    differences = list(_differences(known or {}, json.loads(json.dumps(asked))))
    if differences:
        raise RequestError(
            f"study {study!r} was made with {'; '.join(differences)}: "
            "ask for the same, or give the new one a name with --study NAME."
        )


def _differences(known: Any, asked: Any, name: Sequence[str] = ()) -> Iterator[str]:
    if isinstance(known, dict) and isinstance(asked, dict):
        for key in sorted({*known, *asked}):
            yield from _differences(known.get(key), asked.get(key), [*name, key])
    elif known != asked:
        yield f"{' '.join(name)} = {_shown(known)}, this asks for {_shown(asked)}"


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)
