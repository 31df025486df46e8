"""TOML as Assay reads it: `tomllib`, with limits that it lacks."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from assay.models.errors import RequestError

MOST_KEY_PARTS = 20
"""Most parts of a key such as `space.model.width`. `tomllib` takes memory and time for the square
of their number: 10 GB for 50,000 parts.
"""

_INTEGER_RULE = "a whole number must fit into 64 bits"
_INTEGERS = range(-(2**63), 2**63)

# The parts of a key are bare or quoted. What is not terminated is taken to its end, where `tomllib`
# will refuse it; without backtracking, because the text may be anything.
_PART = r"""(?:[A-Za-z0-9_-]++|"(?:\\[^\n]|[^"\\\n])*+"?|'[^'\n]*+'?)"""
_DOT = r"[ \t]*+\.[ \t]*+"
_TOKEN = re.compile(
    r"\#[^\n]*+"
    r'|"""(?s:\\.|(?!""").)*+"{0,5}+'  # two quotes may stand before the closing three
    r"|'''(?s:(?!''').)*+'{0,5}+"
    rf"|(?P<key>{_PART}(?:{_DOT}{_PART})*+)"
)
_KEY_PART = re.compile(_PART)


def parse_toml(text: str) -> dict[str, Any]:
    """Return the tables of a TOML text.

    Raises:
        RequestError: a number does not fit into 64 bits.
        ValueError: it is no TOML, a key has too many parts, or lists and tables are nested too
            deeply.
    """
    for token in _TOKEN.finditer(text):
        key = token["key"]
        if key is not None and len(_KEY_PART.findall(key)) > MOST_KEY_PARTS:
            raise ValueError(
                f"a key must have at most {MOST_KEY_PARTS} parts: received {key[:40]!r}..."
            )
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        raise ValueError("lists and tables are nested too deeply") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # of `int`, for thousands of digits
        raise RequestError(f"{_INTEGER_RULE}; received one of thousands of digits") from None
    check_integers(tables)
    return tables


def check_integers(value: Any) -> None:
    """Check all integers in the lists and tables of a value; see `check_integer`.

    Raises:
        RequestError: one does not fit into 64 bits.
    """
    left = [value]
    while left:
        match left.pop():
            case int() as number:
                check_integer(number)
            case list() | tuple() as items:
                left.extend(items)
            case Mapping() as table:
                left.extend(table.values())


def check_integer(number: int) -> None:
    """Check that an integer fits into 64 bits, as those of TOML and SQL do.

    Others overflow in libraries, and Python prints none that has thousands of digits.

    Raises:
        RequestError: it does not.
    """
    if number not in _INTEGERS:
        digits = number.bit_length() * 30_103 // 100_000 + 1  # the logarithm of 2
        raise RequestError(f"{_INTEGER_RULE}; received one of about {digits:,} digits")
