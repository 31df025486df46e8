"""TOML literals."""

from __future__ import annotations

import json


def toml(value: object) -> str:
    """Return a value as a TOML literal."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return (
                json.dumps(value).replace("\x7f", "\\u007f") if value.isascii() else _quoted(value)
            )
        case dict():
            return (
                "{" + ", ".join(f"{toml(name)} = {toml(one)}" for name, one in value.items()) + "}"
            )
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case _:
            return str(value)


def _quoted(text: str) -> str:
    letters = (
        letter if letter.isprintable() and letter not in '"\\' else f"\\U{ord(letter):08x}"
        for letter in text
    )
    return f'"{"".join(letters)}"'
