"""Generate the tables of docs/, or check them with `--check`.

`python -m tests.reference` rewrites the generated parts.
A part stands between `<!-- generated: NAME -->` and `<!-- end -->`.
Everything outside the markers is written by hand.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from assay.models.settings import Settings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"

_PART = re.compile(r"(<!-- generated: ([a-z0-9-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_SHARED_BY = 4
"""An option of at least this many commands is listed once, under `options-common`."""
_HINT = re.compile(r"\s\s+\[([^\]]+)\]\s*$")
"""A help text may end with its default after two spaces: `Trials at a time.  [one per core]`."""
_TAG = re.compile(r"<(?=[A-Za-z/])")


# Markdown.


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; `|` in a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    line = " ".join(text.split()).replace("|", "\\|")
    # Outside code, Markdown reads `<class>` as HTML and hides it.
    parts = line.split("`")
    parts[::2] = (_TAG.sub(r"\\<", part) for part in parts[::2])
    return "`".join(parts)


def _code(text: object) -> str:
    return f"`{text}`"


def _listed(names: Iterable[object]) -> str:
    return ", ".join(map(_code, names))


# Commands, from click.


@functools.cache
def commands() -> Mapping[str, click.Command]:
    """Return the commands of `assay` by name."""
    from assay.experiments.cli.main import assay

    assert isinstance(assay, click.Group)
    with click.Context(assay, info_name="assay") as context:
        found = {name: assay.get_command(context, name) for name in assay.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def _options(command: click.Command) -> list[click.Option]:
    return [
        option
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
    ]


def _identity(option: click.Option) -> tuple[object, ...]:
    return tuple(option.opts), option.help


def _shared() -> set[tuple[object, ...]]:
    counted = Counter(
        _identity(option) for command in commands().values() for option in _options(command)
    )
    return {identity for identity, times in counted.items() if times >= _SHARED_BY}


def options_common() -> str:
    """Return the options that most commands have."""
    shared, every = (
        _shared(),
        [option for command in commands().values() for option in _options(command)],
    )
    return _option_table(
        {_identity(option): option for option in every if _identity(option) in shared}.values()
    )


def command_part(name: str) -> str:
    """Return the usage and the options of a command."""
    command, shared = commands()[name], _shared()
    with click.Context(command, info_name=f"assay {name}") as context:
        usage = " ".join([f"assay {name}", *command.collect_usage_pieces(context)])
    own = [option for option in _options(command) if _identity(option) not in shared]
    common = [
        max(option.opts, key=len) for option in _options(command) if _identity(option) in shared
    ]
    parts = [f"```\n{usage}\n```", command.get_short_help_str(limit=200)]
    if own:
        parts.append(_option_table(own))
    if common:
        parts.append(f"Common options: {_listed(common)}.")
    return "\n\n".join(parts)


def _option_table(options: Iterable[click.Option]) -> str:
    return table(("option", "default", "meaning"), (_option_row(option) for option in options))


def _option_row(option: click.Option) -> tuple[str, str, str]:
    text = option.help or ""
    hint = _HINT.search(text)
    default = hint[1] if hint else _option_default(option)
    if isinstance(option.envvar, str):
        _, _, rest = default.rpartition(f"{option.envvar}, or ")  # a hint may name the variable
        default = f"{_code(option.envvar)}, or {rest}" if rest else _code(option.envvar)
    name = max(option.opts, key=len)
    value = "" if option.is_flag else f" {option.metavar or _value_of(option)}"
    return _code(name + value), default, _HINT.sub("", text) + _limits_of(option)


def _option_default(option: click.Option) -> str:
    if isinstance(option.show_default, str):
        return option.show_default
    if option.is_flag or option.multiple or not isinstance(option.default, str | int | float):
        return ""
    return str(option.default)


def _value_of(option: click.Option) -> str:
    kind = option.type
    if isinstance(kind, click.Choice):
        return "|".join(map(str, kind.choices))
    return {"integer": "N", "integer range": "N", "float": "X"}.get(kind.name, "TEXT")


def _limits_of(option: click.Option) -> str:
    kind = option.type
    if not isinstance(kind, click.IntRange) or kind.min is None:
        return ""
    return f" N >= {kind.min}." if kind.max is None else f" {kind.min} <= N <= {kind.max}."


# Settings, from pydantic.


def settings_table(settings: type[Settings], skip: Sequence[str] = ()) -> str:
    """Return the fields of a settings class: key, type with range, default, description."""
    schema = settings.model_json_schema()
    rows = []
    for name, field in settings.model_fields.items():
        if name in skip:
            continue
        default = (
            "required"
            if field.is_required()
            else _value(field.get_default(call_default_factory=True))
        )
        said = schema["properties"][name]
        rows.append((_code(name), _type(said), default, field.description or ""))
    return table(("key", "type", "default", "meaning"), rows) if rows else "No options."


def _value(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return _code(str(value).lower())
    if isinstance(value, str):
        return _code(f'"{value}"')
    if isinstance(value, list | tuple) and value:
        return _code(
            "[" + ", ".join(f'"{one}"' if isinstance(one, str) else str(one) for one in value) + "]"
        )
    return _code({} if isinstance(value, Mapping) and not value else value)


def _type(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema or "const" in schema:
        return ", ".join(_code(f'"{one}"') for one in schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "integer" | "number" as kind:
            return _range("integer" if kind == "integer" else "float", schema)
        case "array" if "prefixItems" in schema:
            return f"list of {len(schema['prefixItems'])} {_type(schema['prefixItems'][0])}s"
        case "array":
            return f"list of {_type(schema.get('items', {}))}s"
        case kind:
            return {"boolean": "boolean", "string": "string", "object": "table"}.get(
                str(kind), "value"
            )


def _range(kind: str, schema: Mapping[str, Any]) -> str:
    """Return a numeric type with its bounds: `integer >= 1`, `0 <= float < 1`."""
    low = next(((_number(schema[key]), sign) for key, sign in _LOW if key in schema), None)
    high = next(((_number(schema[key]), sign) for key, sign in _HIGH if key in schema), None)
    if low is not None and high is None:
        return f"{kind} {low[1].replace('<', '>')} {low[0]}"
    before = "" if low is None else f"{low[0]} {low[1]} "
    return f"{before}{kind}{'' if high is None else f' {high[1]} {high[0]}'}"


def _number(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:g}"


_LOW = (("minimum", "<="), ("exclusiveMinimum", "<"))
_HIGH = (("maximum", "<="), ("exclusiveMaximum", "<"))


def data_part() -> str:
    """Return the keys of [data]."""
    from assay.experiments.data.settings import DataSettings

    return settings_table(DataSettings)


def train_part() -> str:
    """Return the keys of [train]."""
    from assay.models.training.config import TrainSettings

    return settings_table(TrainSettings)


def search_part() -> str:
    """Return the keys of [search]."""
    from assay.search.settings import SearchSettings

    return settings_table(SearchSettings)


def families_part() -> str:
    """Return every model family with its [model] keys."""
    from assay.models.architectures.registry import FAMILIES

    return "\n\n".join(
        f"#### `{family.name}`\n\n{_sentence(family.summary)}\n\n{settings_table(family.settings)}"
        for family in FAMILIES.values()
    )


def names_part() -> str:
    """Return the names that [model] and [train] accept."""
    from assay.models.architectures.activations import TRAINABLE_ACTIVATIONS
    from assay.models.architectures.fields import INITIALIZERS
    from assay.models.training.config import LOSSES, OPTIMIZERS, SCHEDULES

    def with_own(names: Mapping[str, Sequence[str]]) -> str:
        return "; ".join(
            f"`{name}`{f' ({_listed(own)})' if own else ''}" for name, own in names.items()
        )

    rows = [
        ("activation", _listed(TRAINABLE_ACTIVATIONS)),
        ("initializer", _listed(INITIALIZERS)),
        ("loss", "; ".join(f"`{name}` ({', '.join(tasks)})" for name, tasks in LOSSES.items())),
        ("optimizer (its own keys)", with_own(OPTIMIZERS)),
        ("schedule (its own keys)", with_own(SCHEDULES)),
    ]
    return table(("key", "names"), rows)


def samplers_part() -> str:
    """Return every sampler with its options."""
    from assay.search.samplers import SAMPLERS

    return "\n\n".join(
        f"##### `{sampler.name}`\n\n"
        f"{_sentence(sampler.summary)}{_needs(sampler.packages, sampler.extra)}\n\n"
        f"{settings_table(sampler.settings)}"
        for sampler in SAMPLERS.values()
    )


def pruners_part() -> str:
    """Return every pruner with its options."""
    from assay.search.pruners import PRUNERS

    return "\n\n".join(
        f"##### `{pruner.name}`\n\n{_sentence(pruner.summary)}\n\n{settings_table(pruner.settings)}"
        for pruner in PRUNERS.values()
    )


def importances_part() -> str:
    """Return the importance evaluators."""
    from assay.search.importances import EVALUATORS

    return table(
        ("importance", "what its shares are"),
        ((_code(one.name), one.summary) for one in EVALUATORS.values()),
    )


def metrics_part() -> str:
    """Return the metrics that an objective can name."""
    from assay.models.tasks import TASKS
    from assay.models.training.metrics import metric_names
    from assay.search.objective import COSTS

    rows = []
    for task in TASKS:
        names = metric_names(task)
        rows.append((f"every epoch, {task}", _listed([*names, *(f"val_{name}" for name in names)])))
    return table(("measured", "metrics"), [*rows, ("once, at the end of a trial", _listed(COSTS))])


def data_sets_part() -> str:
    """Return every data set."""
    from assay.experiments.data.registry import SOURCES
    from assay.experiments.data.sources.published import PUBLISHED_SETS

    rows = []
    for entry in SOURCES:
        for name, summary in entry.summaries.items():
            known = PUBLISHED_SETS.get(name)
            size = "" if known is None else f"{known.train_images:,} / {known.test_images:,}"
            summary = summary if known is None else f"{summary}; {known.reference}"
            rows.append(
                (_code(name), entry.task or "either", size, summary.removeprefix("regression: "))
            )
    return table(("`name`", "task", "training / test images", "what it is"), rows)


def journal_part() -> str:
    """Return the events of a journal with their fields."""
    from assay.search.events import EVENT_NAMES

    rows = [
        (_code(name), _listed(field.name for field in dataclasses.fields(kind)))
        for kind, name in EVENT_NAMES.items()
    ]
    return table(("event", "fields"), rows)


def catalogue_part() -> str:
    """Return the experiments of the catalogue."""
    from assay.experiments.config.catalog import list_catalog, resolve_experiment

    rows = []
    for name in list_catalog():
        experiment = resolve_experiment(name)
        search = experiment.search
        what = f"`{experiment.family.name}` on `{experiment.data.name}`"
        epochs = experiment.largest_value("epochs")
        how = f"{search.trials} trials of {epochs} epochs, {search.sampler}, {search.pruner}"
        rows.append((_code(name), what, how, _listed(experiment.space), experiment.source))
    return table(("experiment", "model and data", "search", "searched", "source"), rows)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _needs(packages: Mapping[str, str], extra: str | None) -> str:
    if extra is None:
        return ""
    return f" Install `{' '.join(packages.values())}` with pip, or Assay with its extra `{extra}`."


def parts() -> Mapping[str, Callable[[], str]]:
    """Return the function that writes each part, by name."""
    return {
        "options-common": options_common,
        **{f"command-{name}": functools.partial(command_part, name) for name in commands()},
        "data": data_part,
        "train": train_part,
        "search": search_part,
        "families": families_part,
        "names": names_part,
        "samplers": samplers_part,
        "pruners": pruners_part,
        "importances": importances_part,
        "metrics": metrics_part,
        "data-sets": data_sets_part,
        "journal": journal_part,
        "catalogue": catalogue_part,
    }


# Files.


def rewritten(text: str, known: Mapping[str, Callable[[], str]]) -> str:
    """Return a document with its generated parts rewritten.

    Raises:
        KeyError: a marker names no part.
    """
    return _PART.sub(lambda found: f"{found[1]}{known[found[2]]()}\n{found[4]}", text)


def problems(folder: Path = DOCS) -> list[str]:
    """Return a message for each outdated, missing or duplicate part."""
    known, counted, found = parts(), Counter[str](), []
    for file in sorted(folder.glob("*.md")):
        text = file.read_text(encoding="utf-8")
        for _, name, _, _ in _PART.findall(text):
            counted[name] += 1
        if text.count("<!-- generated: ") != len(_PART.findall(text)):
            found.append(f"{file.name}: a marker is not closed, or its name is not lower case")
        unknown = {name for _, name, _, _ in _PART.findall(text)} - set(known)
        found += [f"{file.name}: there is no part {name!r}" for name in sorted(unknown)]
        if not unknown:
            now = {name: body for _, name, body, _ in _PART.findall(rewritten(text, known))}
            before = {name: body for _, name, body, _ in _PART.findall(text)}
            found += [
                f"{file.name}: part {name!r} is out of date"
                for name in now
                if now[name] != before[name]
            ]
    found += [f"no document has part {name!r}" for name in known if counted[name] == 0]
    found += [f"part {name!r} stands {times} times" for name, times in counted.items() if times > 1]
    return found


def main() -> int:
    """Rewrite the parts in place, or check them with --check."""
    parser = argparse.ArgumentParser(prog="python -m tests.reference", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a part is out of date"
    )
    if not parser.parse_args().check:
        known = parts()
        for file in sorted(DOCS.glob("*.md")):
            file.write_text(rewritten(file.read_text(encoding="utf-8"), known), encoding="utf-8")
    found = problems()
    for one in found:
        print(f"{one}; run: make docs", file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
