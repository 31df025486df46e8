"""The command `assay`: its subcommands, failures and exit codes."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import signal
import sys
import traceback
from typing import NoReturn

import click

from assay.experiments.cli.completion import register_shells
from assay.experiments.terminal_text import escaped_streams, to_single_line
from assay.experiments.tracking.store import mlflow_settings
from assay.models.errors import RequestError, SearchError, WorkerBug
from assay.models.names import check_name
from assay.search.system.files import unwritable_error
from assay.search.system.standard_streams import open_standard_streams
from assay.search.system.urls import first_line, scrub_secrets

SUBCOMMANDS = {
    "list": "list_",
    "new": "new",
    "run": "run",
    "sweep": "sweep",
    "show": "show",
    "finalize": "finalize",
    "compare": "compare",
    "report": "report",
    "lectures": "lectures",
    "reproduce": "reproduce",
    "export": "export",
    "ui": "ui",
    "doctor": "doctor",
    "delete": "delete",
    "completion": "completion",
}


class _Subcommands(click.Group):
    """A group that imports the module of a subcommand late."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        # While the shell completes a line, an unfinished word is no error.
        if ctx.resilient_parsing and cmd_name not in SUBCOMMANDS:
            return None
        check_name("command", cmd_name, SUBCOMMANDS)
        module = importlib.import_module(f"assay.experiments.cli.{SUBCOMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command


@click.command(
    cls=_Subcommands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="assay", message="assay %(version)s")
def assay() -> None:
    """Experiment suite for Keras: Optuna sweeps, with every trial in MLflow.

    Start with:  assay sweep digits-mlp
    """


def main() -> NoReturn:
    """Run the command and exit.

    Exit codes: 0 done, 1 the work failed, 2 the request was wrong, 130 after Ctrl-C, 143 after
    SIGTERM.
    """
    open_standard_streams()
    register_shells()
    with escaped_streams():
        _run()


def _run() -> NoReturn:
    # At exit Python would visit every object once more, which takes a second after MLflow was
    # imported; the operating system frees them anyway.
    atexit.register(gc.freeze)
    try:
        with mlflow_settings():
            sys.exit(assay.main(standalone_mode=False) or 0)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.exceptions.NoArgsIsHelpError as help_text:
        print(help_text.format_message())
        sys.exit(0)
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does. Python would try to flush the rest at
        # exit and fail again, so the rest goes to /dev/null.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except RequestError as error:
        _fail(str(error), 2)
    except SearchError as error:
        _fail(str(error), error.exit_code)
    except WorkerBug as error:
        print(scrub_secrets(str(error)), file=sys.stderr)
        _fail(
            "this is a bug in Assay, not in the trial; the same command tries the trial again.", 1
        )
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted", 128 + signal.SIGINT)
    except OSError as error:
        # A full disk or a missing permission is no bug: it gets one line. Any other OSError is one.
        failure = unwritable_error(error.filename or "a file", error, action="opened or written")
        if failure is None:
            _show_bug()
        _fail(str(failure), 1)
    except Exception as error:
        if _is_store_error(error):
            _fail(
                f"the tracking store does not answer as one of MLflow does ({first_line(error)}): "
                "check --tracking-uri.",
                1,
            )
        _show_bug()


def _is_store_error(error: Exception) -> bool:
    """Return whether MLflow's server or database raised the error."""
    # Not imported, which takes seconds: if MLflow raised the error, it is there.
    exceptions = sys.modules.get("mlflow.exceptions")
    if exceptions is None or not isinstance(error, exceptions.MlflowException):
        return False
    return isinstance(error, exceptions.RestException) or str(error).startswith(
        ("API request", "(sqlite3.", "(psycopg")
    )


def _show_bug() -> NoReturn:
    """Print the traceback without secrets, and exit with 1."""
    print(scrub_secrets(traceback.format_exc()), end="", file=sys.stderr)
    sys.exit(1)


def _fail(message: str, code: int) -> NoReturn:
    print(f"assay: {to_single_line(message)}", file=sys.stderr)
    sys.exit(code)
