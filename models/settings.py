"""Base class of settings: frozen, strict, one-line errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from assay.models.errors import RequestError
from assay.models.names import suggestion


class Settings(BaseModel):
    """A frozen group of settings, one field per setting.

    Unknown keys are errors. Values are not converted: "32" is not a number, 32.0 is not an integer.

    Example:
        >>> class Hidden(Settings):
        ...     units: int = 100
        >>> Hidden.read({"units": 32}, "[model]").units
        32
        >>> Hidden.read({"units": "32"}, "[model]")
        Traceback (most recent call last):
        RequestError: [model] units: input should be a valid integer; received '32'.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_default=True,
        use_attribute_docstrings=True,
    )

    @classmethod
    def read(cls, table: Mapping[str, Any], where: str) -> Self:
        """Validate a table of plain values.

        Args:
            table: values by key, as TOML or JSON gives them.
            where: name of the table in error messages, such as "[train]".

        Raises:
            RequestError: a value is wrong; the message is about the first one.
        """
        try:
            return cls.model_validate(dict(table))
        except ValidationError as error:
            first_error = error.errors()[0]
            raise RequestError(
                format_validation_error(first_error, where, cls.model_fields)
            ) from None


def format_validation_error(error: ErrorDetails, where: str, known: Mapping[str, object]) -> str:
    """Return Pydantic's error as one line.

    Args:
        error: one of `ValidationError.errors()`.
        where: name of the table, such as "[train]".
        known: the keys of the table.
    """
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        keys = ", ".join(known) or "nothing"
        return f"{where} does not know {name!r}: it knows {keys}.{suggestion(name, known)}"
    if error["type"] == "missing":
        return f"{where} must say {name!r}: add it."
    place = f"{where} {name}" if name else where
    raised = error.get("ctx", {}).get("error")
    if isinstance(raised, RequestError):
        # The message of a nested table begins with its place already.
        return str(raised) if str(raised).startswith(f"{place} ") else f"{place}: {raised}"
    rule = str(raised) if raised is not None else _lower_first(error["msg"])
    return f"{place}: {rule}; received {_shorten(repr(error['input']))}."


_MOST_TEXT = 200


def _shorten(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}..."


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
