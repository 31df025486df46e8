"""The command `assay`: finds its verbs, and turns what goes wrong into one line and an exit
code.
"""

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

from assay.experiments.terminal_text import one_line
from assay.models.errors import RequestError, SearchError, WorkerBug
from assay.models.names import check_name
from assay.search.system.files import unwritable
from assay.search.system.urls import scrubbed

VERBS = {
    "list": "list_",
    "new": "new",
    "run": "run",
    "sweep": "sweep",
    "show": "show",
    "ui": "ui",
    "doctor": "doctor",
    "delete": "delete",
    "completion": "completion",
}


class _Verbs(click.Group):
    """Imports a verb's module when the verb is used, or described."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (
            ctx.resilient_parsing and cmd_name not in VERBS
        ):  # the shell asks what could be typed here
            return None
        check_name("verb", cmd_name, VERBS)
        command: click.Command = importlib.import_module(
            f"assay.experiments.cli.{VERBS[cmd_name]}"
        ).command
        return command


@click.command(
    cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="assay", message="assay %(version)s")
def assay() -> None:
    """Keras experiments that can be trusted: Optuna sweeps, with every trial in MLflow.

    Start with:  assay sweep digits-mlp
    """


def main() -> NoReturn:
    """Run the command and exit.

    0: done; 1: the work failed; 2: the request was wrong; 130: after Ctrl-C; 143: after SIGTERM.
    """
    # What is alive at the end the system takes back at once; Python would look at all of it, a
    # second after MLflow.
    atexit.register(gc.freeze)
    try:
        sys.exit(assay.main(standalone_mode=False) or 0)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.exceptions.NoArgsIsHelpError as help_text:
        print(help_text.format_message())
        sys.exit(0)
    except BrokenPipeError:  # whoever read the answer has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except RequestError as error:
        _fail(str(error), 2)
    except SearchError as error:
        _fail(str(error), error.exit_code)
    except WorkerBug as error:
        print(scrubbed(str(error)), file=sys.stderr)
        _fail(
            "this is a bug in Assay and no fault of the trial, which is tried again by the same command.",
            1,
        )
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted", 128 + signal.SIGINT)
    except OSError as error:
        failure = unwritable(error.filename or "a file", error, done="opened or written")
        if failure is None:
            _show_bug()
        _fail(str(failure), 1)
    except Exception:
        _show_bug()


def _show_bug() -> NoReturn:
    """Show the traceback, as Python would, but for the secrets in the addresses of stores."""
    print(scrubbed(traceback.format_exc()), end="", file=sys.stderr)
    sys.exit(1)


def _fail(message: str, code: int) -> NoReturn:
    print(f"assay: {one_line(message)}", file=sys.stderr)
    sys.exit(code)
