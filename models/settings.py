"""The base of everything that is configuration: frozen, strict, and clear about what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from assay.models.errors import RequestError
from assay.models.names import suggestion


class Settings(BaseModel):
    """A frozen group of settings, one field a setting.

    Unknown keys are errors and nothing is converted: the text "32" is no number, 32.0 is no count.
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
        """Build the settings from a table of plain values.

        Args:
            table: plain values by name, as TOML or JSON gives them.
            where: what to call the table in an error, such as "[train]".

        Raises:
            RequestError: the first thing that is wrong, in one line.
        """
        try:
            return cls.model_validate(dict(table))
        except ValidationError as error:
            raise RequestError(explain(error.errors()[0], where, cls.model_fields)) from None


def explain(error: ErrorDetails, where: str, known: Mapping[str, object]) -> str:
    """Say in one line what a validation found: the rule, the value received, the nearest right
    name.
    """
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{where} does not know {name!r}: it knows {', '.join(known) or 'nothing'}.{suggestion(name, known)}"
    if error["type"] == "missing":
        return f"{where} must say {name!r}: add it."
    place = f"{where} {name}" if name else where
    raised = error.get("ctx", {}).get("error")
    if isinstance(raised, RequestError):
        # A table within the table has said the whole of its place already.
        return str(raised) if str(raised).startswith(f"{place} ") else f"{place}: {raised}"
    rule = str(raised) if raised is not None else _lower_first(error["msg"])
    return f"{place}: {rule}; received {error['input']!r}."


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
