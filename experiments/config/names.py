"""Names of hyperparameters, and the table that each belongs to.

A user's own factory may take an argument that [train] has too, such as `epsilon`. A name can say
which one it means: `train.epsilon` or `model.epsilon`. A plain name means the setting of [train] if
[train] has it, else an argument of the model.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from assay.models.architectures.registry import Family
from assay.models.errors import RequestError
from assay.models.names import suggestion
from assay.models.training.config import TrainSettings

TableName: TypeAlias = Literal["model", "train", "data"]
"""The table that a name belongs to: the name without brackets."""

SEARCHABLE: tuple[TableName, ...] = ("model", "train")
"""The tables whose settings can be searched."""

TABLES: tuple[TableName, ...] = get_args(TableName)


@dataclass(frozen=True)
class Setting:
    """A setting of one table.

    Attributes:
        table: the table.
        name: its name in that table.

    Example:
        >>> Setting("model", "epsilon").qualified
        'model.epsilon'
    """

    table: TableName
    name: str

    @property
    def qualified(self) -> str:
        """The name that says which table it belongs to."""
        return f"{self.table}.{self.name}"


def split_name(name: str) -> tuple[TableName | None, str]:
    """Return the table that a name says, and the name in it.

    Example:
        >>> split_name("train.epsilon"), split_name("epsilon")
        (('train', 'epsilon'), (None, 'epsilon'))
    """
    first, _, rest = name.partition(".")
    for table in TABLES:
        if first == table and rest:
            return table, rest
    return None, name


def parse_name(name: str) -> Setting:
    """Return the setting of [model] or [train] that a name means.

    Example:
        >>> parse_name("epsilon").qualified, parse_name("width").qualified
        ('train.epsilon', 'model.width')
    """
    table, bare = split_name(name)
    if table is None:
        table = "train" if bare in TrainSettings.model_fields else "model"
    return Setting(table, bare)


def resolve_name(name: str, family: Family[Any], where: str) -> str:
    """Return the name by which a hyperparameter is called in all of an experiment.

    With a built-in family it is the plain name, since no family shares a name with [train]. With a
    user-defined factory it is the name as written.

    Args:
        name: the name as written.
        family: the experiment's family.
        where: the beginning of messages.

    Raises:
        RequestError: the table that a qualified name says does not have it.
    """
    table, bare = split_name(name)
    if table is None:
        return name
    if table == "data":
        raise RequestError(
            f"{where} {name}: settings of [data] are not searched; write it under [data], or fix "
            "it with --set."
        )
    settings = TrainSettings if table == "train" else family.settings
    is_user_defined = family.factory is not None
    # Which arguments a user-defined factory takes is unknown until it is called.
    if bare not in settings.model_fields and not (table == "model" and is_user_defined):
        raise unknown_name(f"{where} {name}", table, bare, settings.model_fields)
    return name if is_user_defined else bare


def unknown_name(where: str, table: TableName, name: str, known: Collection[str]) -> RequestError:
    """Return the error for a name that a table does not have."""
    return RequestError(
        f"{where}: [{table}] does not know {name!r}: it knows {', '.join(known)}."
        f"{suggestion(name, known)}"
    )


def ambiguous_name(where: str, name: str, tables: Collection[TableName]) -> RequestError:
    """Return the error for a plain name that several tables have."""
    both = " and ".join(f"[{table}]" for table in tables)
    choices = " or ".join(f"{table}.{name}" for table in tables)
    return RequestError(f"{where} {name}: {both} both have it; write {choices}.")


def flatten_values(
    values: Mapping[str, Any], where: str, tables: Collection[str] = SEARCHABLE
) -> dict[str, Any]:
    """Return values by name, those of nested tables by their qualified names.

    Args:
        values: values by name. TOML reads the key `model.epsilon`, without quotes, as a table
            called "model" that has "epsilon".
        where: the beginning of messages.
        tables: names of the tables that may be nested.

    Raises:
        RequestError: a name is given twice.

    Example:
        >>> flatten_values({"model": {"epsilon": 0.1}, "epochs": 3}, "[[baseline]]")
        {'model.epsilon': 0.1, 'epochs': 3}
    """
    # No value of a hyperparameter is a table, so a table can only be a nested one.
    nested = {name for name in values if name in tables and isinstance(values[name], Mapping)}
    return _flatten(values, nested, where)


def _flatten(values: Mapping[str, Any], nested: Collection[str], where: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        inner = (
            {f"{name}.{key}": item for key, item in value.items()}
            if name in nested
            else {name: value}
        )
        for key, item in inner.items():
            if key in flat:
                raise RequestError(f"{where} {key}: is given twice; remove one.")
            flat[key] = item
    return flat


def flatten_table(values: Mapping[str, Any], table: TableName) -> dict[str, Any]:
    """Return the values of [model] or [train] by their names in that table.

    Raises:
        RequestError: a name belongs to another table, or is given twice.

    Example:
        >>> flatten_table({"model.epsilon": 0.1}, "model")
        {'epsilon': 0.1}
    """
    where = f"[{table}]"
    flat: dict[str, Any] = {}
    for name, value in flatten_values(values, where, TABLES).items():
        other, bare = split_name(name)
        if other not in (None, table):
            raise RequestError(f"{where} {name}: belongs to [{other}]; write it there as {bare}.")
        if bare in flat:
            raise RequestError(f"{where} {bare}: is given twice; remove one.")
        flat[bare] = value
    return flat


def flatten_space(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ranges and choices of [space] by name; see `flatten_values`.

    Conditions are flattened likewise.

    Raises:
        RequestError: a name is given twice.
    """
    nested = {
        name for name, value in table.items() if name in SEARCHABLE and _is_nested_space(value)
    }
    return {
        name: (
            {**value, "when": _flatten_conditions(value["when"], f"[space] {name} when")}
            if isinstance(value, dict) and isinstance(value.get("when"), dict)
            else value
        )
        for name, value in _flatten(table, nested, "[space]").items()
    }


def _is_nested_space(value: object) -> bool:
    """Return whether a value of [space] is a table of ranges and choices, not one of them."""
    # A range has numbers. `{ choices = [...], when = {...} }` has none, but those two keys alone.
    if not isinstance(value, dict) or not value:
        return False
    if "choices" in value and set(value) <= {"choices", "when"}:
        return False
    return all(isinstance(item, list | dict) for item in value.values())


def _flatten_conditions(conditions: Mapping[str, Any], where: str) -> dict[str, Any]:
    # Bounds such as `{ low = 2 }` are a table too.
    nested = {
        name
        for name, value in conditions.items()
        if name in SEARCHABLE and isinstance(value, dict) and not set(value) <= {"low", "high"}
    }
    return _flatten(conditions, nested, where)
