"""Options that several verbs share."""

from __future__ import annotations

import functools
import json
import math
import shutil
import sys
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import click
from click.core import ParameterSource

from assay.experiments.cli import completion
from assay.experiments.formatting import read_seconds as read_duration
from assay.experiments.terminal_text import one_line
from assay.models.errors import RequestError
from assay.search.system.urls import masked

_Command = TypeVar("_Command", bound=Callable[..., Any])


def read_seconds(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> float | None:
    """Read a time such as 90s, 10m or 1h30m; a bare number is seconds.

    Raises:
        RequestError: it is none, or not above zero.
    """
    return None if text is None else read_duration(text, parameter.opts[0])


def store_paths(command: _Command) -> _Command:
    """Add the options that say where things are read and written."""
    for option in (
        click.option(
            "--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="MLflow's store.  [SQLite in home]"
        ),
        click.option(
            "--storage", envvar="ASSAY_STORAGE", help="Optuna's storage, a URL.  [SQLite in home]"
        ),
        click.option(
            "--data-dir",
            envvar="ASSAY_DATA_DIR",
            help="Where data sets lie as NAME.npz.  [the Keras cache]",
        ),
        click.option(
            "--home",
            envvar="ASSAY_HOME",
            help="Folder of everything that running produces.  [./mlruns]",
        ),
    ):
        command = option(command)
    return command


def execution(command: _Command) -> _Command:
    """Add the options that say what trains, and how; the command is given them by name, as its
    `execution`.
    """
    return _gathered(command, "execution", _EXECUTION)


def failure_policy(command: _Command) -> _Command:
    """Add the options of the failure policy; the command takes them as `failure_policy`."""
    return _gathered(command, "failure_policy", _FAILURE_POLICY)


def _gathered(
    command: _Command, name: str, group: Mapping[str, Callable[[_Command], _Command]]
) -> _Command:
    @functools.wraps(command)
    def gathered(**given: Any) -> Any:
        return command(**{name: {option: given.pop(option) for option in group}}, **given)

    wrapped = cast(_Command, gathered)
    for option in reversed(list(group.values())):
        wrapped = option(wrapped)
    return wrapped


_EXECUTION = {
    "backend": click.option(
        "--backend",
        shell_complete=completion.backends,
        help="Keras backend: tensorflow, jax or torch.  [KERAS_BACKEND, or tensorflow]",
    ),
    "device": click.option(
        "--device",
        shell_complete=completion.devices,
        help="cpu, gpu (all cards) or gpu:N.  [gpu where the backend can use one, else cpu]",
    ),
    "precision": click.option(
        "--precision",
        default="float32",
        shell_complete=completion.precisions,
        help="float32, mixed_bfloat16 or mixed_float16.  [float32]",
    ),
    "xla": click.option(
        "--xla",
        default="auto",
        shell_complete=completion.xla,
        help="Compile training steps with XLA: on, off, or auto, as Keras chooses.  [auto]",
    ),
    "gpu_memory": click.option(
        "--gpu-memory",
        type=float,
        metavar="MB|FRACTION",
        help="What each worker may take of its card.  [as needed, or an equal share]",
    ),
}

trial_timeout = click.option(
    "--trial-timeout",
    callback=read_seconds,
    metavar="TIME",
    help="Fail a trial whose worker gives no sign of life for so long, such as 90s or 10m: no epoch, say.  [never]",
)

_FAILURE_POLICY = {
    "max_failures": click.option(
        "--max-failures",
        type=click.IntRange(min=1),
        default=5,
        help="Failed trials in a row that end it.  [5]",
    ),
    "retries": click.option(
        "--retries",
        type=click.IntRange(min=0),
        default=1,
        help="More attempts at a trial whose worker died.  [1]",
    ),
    "trial_timeout": trial_timeout,
}


def values(command: _Command) -> _Command:
    """Add --set."""
    return click.option(
        "--set",
        "values",
        multiple=True,
        metavar="KEY=VALUE",
        callback=lambda ctx, parameter, given: dict(read_value(text) for text in given),
        help="Fix a hyperparameter, searched or not; may be given several times.",
    )(command)


json_output = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as one JSON object."
)


def program() -> str:
    """Return what to type to call this command again: its name if the path has it, else what was
    typed.
    """
    return "assay" if shutil.which("assay") or "/" not in sys.argv[0] else sys.argv[0]


def given(store_paths: Mapping[str, str | None], *names: str) -> list[str]:
    """Return those of these options that were given on the command line, to be given again."""
    context = click.get_current_context()
    return [
        word
        for name in names
        if (value := store_paths[name]) is not None
        and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        for word in (f"--{name.replace('_', '-')}", masked(value))
    ]


def told(exit_code: int, failure: str | None) -> int:
    """Return a command's exit code; if the work failed, say why in one line."""
    if failure is not None:
        click.echo(f"assay: {one_line(failure)}", err=True)
    return exit_code


def as_json(record: Mapping[str, Any]) -> str:
    """Return one line of JSON, numbers that JSON does not have as null."""
    return json.dumps(_finite(record), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def read_value(text: str) -> tuple[str, Any]:
    """Read `key=value`, the value as TOML has it or else as text.

    Raises:
        RequestError: there is no key or no value.
    """
    key, equals, value = text.partition("=")
    if not (key.strip() and equals and value.strip()):
        raise RequestError(f"--set takes key=value, such as hidden_units=100; received {text!r}.")
    try:
        known = tomllib.loads(f"value = {value}")
    except (ValueError, RecursionError):
        known = {}
    return key.strip(), known["value"] if set(known) == {"value"} else value.strip()
