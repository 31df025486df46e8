"""The [space] table: names, conditions, and what kind of number each setting is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, get_args

from pydantic.fields import FieldInfo

from assay.experiments.config.names import (
    Setting,
    ambiguous_name,
    flatten_space,
    parse_name,
    resolve_name,
)
from assay.models.architectures.registry import Family
from assay.models.errors import RequestError
from assay.models.training.config import TrainSettings
from assay.search.space import Parameter, Space, ValueKind, read_space


def read_space_table(
    table: Mapping[str, Any],
    family: Family[Any],
    model: Collection[str],
    train: Collection[str],
) -> Space:
    """Read the [space] table of an experiment.

    Args:
        table: ranges and choices by name, as TOML has them.
        family: the experiment's family.
        model: names that [model] fixes.
        train: names that [train] fixes.

    Raises:
        RequestError: a name is unknown, ambiguous, searched twice, or searched and fixed at once;
            a range is wrong, or not one for its setting.
    """
    parameters: dict[str, Any] = {}
    names: dict[Setting, str] = {}
    for written, value in flatten_space(table).items():
        name = resolve_name(written, family, "[space]")
        setting = parse_name(name)
        if setting in names:
            raise RequestError(
                f"[space] {written}: is the same as {names[setting]}; remove one of the two."
            )
        names[setting] = name
        parameters[name] = value
    # No built-in family shares a name with [train].
    model_names = (
        {*model, *(setting.name for setting in names if setting.table == "model")}
        if family.factory is not None
        else set()
    )
    for setting, name in names.items():
        _check_plain_name("[space]", name, model_names)
        # A name in two places would leave open which one counts.
        if setting.name in (model if setting.table == "model" else train):
            raise RequestError(
                f"[space] {name}: is searched and fixed at once; remove one of the two."
            )
    return read_space(
        {
            name: _with_resolved_conditions(name, value, family, names, model_names)
            for name, value in parameters.items()
        },
        {name: kind for setting, name in names.items() if (kind := setting_kind(setting, family))},
    )


def _check_plain_name(where: str, name: str, model_names: Collection[str]) -> None:
    """Check that a plain name is not one of both [train] and the model.

    What a factory takes beside the names of the file, a worker finds out.
    """
    if name in TrainSettings.model_fields and name in model_names:
        raise ambiguous_name(where, name, ("train", "model"))


def _with_resolved_conditions(
    name: str,
    value: Any,
    family: Family[Any],
    names: Mapping[Setting, str],
    model_names: Collection[str],
) -> Any:
    """Return a parameter's table whose conditions use the names of the space."""
    if not isinstance(value, dict) or not isinstance(value.get("when"), dict):
        return value
    where = f"[space] {name} when"
    conditions: dict[str, Any] = {}
    for written, condition in value["when"].items():
        resolved = resolve_name(written, family, where)
        _check_plain_name(where, resolved, model_names)
        resolved = names.get(parse_name(resolved), resolved)
        if resolved in conditions:
            raise RequestError(f"{where} {resolved}: is given twice; remove one.")
        conditions[resolved] = condition
    return {**value, "when": conditions}


def setting_kind(setting: Setting, family: Family[Any]) -> ValueKind | None:
    """Return what kind of number a setting is; None for an argument of a user's own factory.

    Example:
        >>> setting_kind(Setting("train", "learning_rate"), get_family("mlp"))
        'real'
    """
    settings = TrainSettings if setting.table == "train" else family.settings
    field = settings.model_fields.get(setting.name)
    return None if field is None else _field_kind(field)


def _field_kind(field: FieldInfo) -> ValueKind:
    # `float | None` and `int | list[int]` are unions.
    types = get_args(field.annotation) or (field.annotation,)
    if float in types:
        return "real"
    return "integer" if int in types else "other"


def condition_names(parameters: Iterable[Parameter]) -> list[str]:
    """Return the names that conditions of parameters depend on."""
    return [condition.name for parameter in parameters for condition in parameter.when]
