"""Options on the command line, and what commands share.

`experiments/config/options.py` says which options there are; here they become click's.
"""

from __future__ import annotations

import json
import math
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from assay.experiments.cli import completion
from assay.experiments.config.given_command import mask_command
from assay.experiments.config.options import Option, StoreOptions, options_of
from assay.experiments.config.toml_text import parse_toml
from assay.experiments.terminal_text import to_single_line
from assay.models.errors import RequestError
from assay.search.system.urls import mask_secrets

if TYPE_CHECKING:
    from assay.experiments.workspace import Workspace

_Command = TypeVar("_Command", bound=Callable[..., Any])


def flag(name: str) -> str:
    """Return an option as it is typed: "--data-dir" for "data_dir"."""
    return f"--{name.replace('_', '-')}"


def add_options(group: type) -> Callable[[_Command], _Command]:
    """Add a class of options to a command, which takes them as keyword arguments.

    Args:
        group: a class of `experiments/config/options.py`.
    """

    def decorate(command: _Command) -> _Command:
        for name, option in reversed(options_of(group).items()):
            command = _click_option(name, option)(command)
        return command

    return decorate


store_paths = add_options(StoreOptions)
json_output = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as one JSON object."
)


def warn_if_moved(workspace: Workspace) -> None:
    """Say on standard error that home was copied or moved, if its store does not know it yet."""
    from assay.experiments.tracking.addresses import find_relocation  # here, to start faster

    if (relocation := find_relocation(workspace)) is not None:
        line = f"warning: {relocation}; change them with 'assay doctor --fix'"
        click.echo(to_single_line(line), err=True)


def _click_option(name: str, option: Option) -> Callable[[_Command], _Command]:
    if option.off_help is not None:
        # None: not given. click would take a default of True for the value of the flag.
        return click.option(
            f"--no{flag(name)[1:]}", name, flag_value=False, default=None, help=option.off_help
        )
    default = option.shown_default
    text = f"{option.help} May be given several times." if option.kind == "values" else option.help
    settings: dict[str, Any] = {
        "help": text if default is None else f"{text}  [{default}]",
        "metavar": option.metavar,
    }
    match option.kind:
        case "flag":
            settings["is_flag"] = True
        case "integer":
            settings["type"] = click.IntRange(min=option.minimum)
        case "number":
            settings["type"] = float
        case "values":
            settings |= {"multiple": True, "callback": _read_assignments}
    if option.kind != "flag" and option.default is not None:
        settings["default"] = option.default
    if option.variable is not None:
        settings["envvar"] = option.variable
    if option.completion is not None:
        settings["shell_complete"] = getattr(completion, option.completion)
    return click.option(flag(name), name, **settings)


def _read_assignments(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> dict[str, Any]:
    return dict(map(read_assignment, texts))


def read_assignment(text: str) -> tuple[str, Any]:
    """Read `key=value`, the value as TOML has it or else as text.

    Raises:
        RequestError: there is no key or no value.
    """
    key, equals, value = text.partition("=")
    if not (key.strip() and equals and value.strip()):
        raise RequestError(f"--set takes key=value, such as hidden_units=100; received {text!r}.")
    try:
        parsed = parse_toml(f"value = {value}")
    except RequestError as error:  # the text of such a number would be no number
        raise RequestError(f"--set {key.strip()}: {error}.") from None
    except ValueError:
        parsed = {}
    return key.strip(), parsed["value"] if set(parsed) == {"value"} else value.strip()


def program() -> str:
    """Return the command as a user types it.

    It is its name if the path has it, else what was typed.
    """
    return "assay" if shutil.which("assay") or "/" not in sys.argv[0] else sys.argv[0]


def explicit_options(options: Mapping[str, Any], *names: str) -> list[str]:
    """Return the words of those options that the command line gave, to be given again."""
    context = click.get_current_context()
    return [
        word
        for name in names
        if options[name] is not None
        and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        for word in (flag(name), mask_secrets(options[name]))
    ]


def leader_commands(runs: Sequence[str], stores: Sequence[str]) -> dict[str, str]:
    """Return what can be done with the leader of a finalize, by one word about it.

    Args:
        runs: ids of its runs in MLflow.
        stores: options that name home and store, as they were given.
    """
    if not runs:
        return {}
    return {
        "again": shlex.join([program(), "reproduce", runs[0], *stores]),
        "train": shlex.join([program(), "run", "--like", runs[0], *stores]),
    }


def given_command() -> str:
    """Return the command as it is recorded: without secrets, and without paths elsewhere."""
    return mask_command(["assay", *sys.argv[1:]])


def report_failure(exit_code: int, failure: str | None) -> int:
    """Print why the work failed; return the exit code."""
    if failure is not None:
        click.echo(f"assay: {to_single_line(failure)}", err=True)
    return exit_code


def as_json(record: Mapping[str, Any]) -> str:
    """Return one line of JSON; numbers that JSON does not have become null."""
    return json.dumps(_finite(record), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
