"""`assay completion`: shell completion of subcommands, options and names."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    add_completion_class,
    get_completion_class,
)

_PROGRAM = "assay"
# The variable by which the shell asks for completions: click derives it from the program's name.
_VARIABLE = "_ASSAY_COMPLETE"

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
NameSource = Callable[[click.Context], Iterable[str]]


@click.command("completion", short_help="Print a completion script for bash, zsh or fish.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> int:
    """Print a completion script for SHELL: subcommands, options, experiments, studies and more.

    \b
    Example:
      eval "$(assay completion bash)"              in ~/.bashrc, for every new shell
      eval "$(assay completion zsh)"               in ~/.zshrc
      assay completion fish | source               in ~/.config/fish/config.fish
    """
    register_shells()
    completion_class = get_completion_class(shell)
    assert completion_class is not None, "click knows the three shells"
    root = context.find_root().command
    click.echo(completion_class(root, {}, _PROGRAM, _VARIABLE).source())
    return 0


# A study's name may come from a file of another user. Bash inserts a name as it is, and the command
# in `zz$(command)` would run when the line is entered, so names are quoted here. zsh and fish quote
# what they insert, and know the quotes that are open.

# As click's, but words are neither split nor expanded.
_BASH_SCRIPT = """\
%(complete_func)s() {
    local IFS=$'\\n' response completion
    response=$(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \\
        %(complete_var)s=bash_complete "$1")
    while IFS= read -r completion; do
        case "${completion%%%%,*}" in
            dir) COMPREPLY=(); compopt -o dirnames ;;
            file) COMPREPLY=(); compopt -o default ;;
            plain) COMPREPLY+=("${completion#*,}") ;;
        esac
    done <<< "$response"
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""
_PLAIN_WORD = re.compile(r"[\w@%+=:,./-]*", re.ASCII)  # what `shlex.quote` leaves as it is
_QUOTING = "'\"\\"


class _Bash(BashComplete):
    source_template = _BASH_SCRIPT

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        # Bash puts what it inserts behind a quote that is open.
        typed = "\n".join(os.environ["COMP_WORDS"].split("\n")[int(os.environ["COMP_CWORD"]) :])
        quotes = [letter for letter in typed if letter in _QUOTING]
        items = []
        for item in super().get_completions(args, incomplete):
            if not quotes and item.type == "plain":
                items.append(CompletionItem(shlex.quote(item.value)))
            elif (
                item.type != "plain"
                or _PLAIN_WORD.fullmatch(item.value)
                or (typed[0] == "'" and len(quotes) == 1 and "'" not in item.value)
            ):
                items.append(item)
        return items


class _Fish(FishComplete):
    # Click's script cuts a name at its second comma.
    source_template = FishComplete.source_template.replace(
        'string split ","', 'string split --max 1 ","'
    )


def register_shells() -> None:
    """Make click complete for bash and fish by the scripts and rules of this module."""
    add_completion_class(_Bash)
    add_completion_class(_Fish)


def _is_typable(name: str) -> bool:
    """Return whether a name can stand on a command line.

    One with control characters would be several lines of click's answer, and one with a dash would
    be an option.
    """
    return name.isprintable() and not name.startswith("-") and name != ""


def _complete_names(list_names: NameSource, or_files: bool = False) -> Completer:
    """Return a completer of names; without a match, of files."""

    def complete(
        context: click.Context, parameter: click.Parameter, typed: str
    ) -> list[CompletionItem]:
        items = [
            CompletionItem(name)
            for name in list_names(context)
            if name.startswith(typed) and _is_typable(name)
        ]
        return items or ([CompletionItem(typed, type="file")] if or_files else [])

    return complete


# A completion must come at once. So no store is opened, and what the functions below import
# imports nothing heavy; a test checks that.


def _experiments(context: click.Context) -> Iterable[str]:
    # The names of the files: `assay.experiments.config.catalog` reads them and imports Optuna.
    return sorted(path.stem for path in (Path(__file__).parent.parent / "catalog").glob("*.toml"))


def _studies(context: click.Context) -> Iterable[str]:
    from assay.experiments.workspace import DEFAULT_HOME, Workspace, journal_names

    try:
        home = Path(context.params.get("home") or DEFAULT_HOME).expanduser().resolve()
        return journal_names(Workspace(home))
    except (OSError, RuntimeError, ValueError):  # no such path: there is nothing to complete
        return ()


def _samplers(context: click.Context) -> Iterable[str]:
    from assay.search.samplers import SAMPLERS

    return SAMPLERS


def _pruners(context: click.Context) -> Iterable[str]:
    from assay.search.pruners import PRUNERS

    return PRUNERS


def _families(context: click.Context) -> Iterable[str]:
    from assay.models.architectures.registry import FAMILIES

    return FAMILIES


def _backends(context: click.Context) -> Iterable[str]:
    from assay.experiments.config.options import BACKENDS

    return BACKENDS


def _devices(context: click.Context) -> Iterable[str]:
    from assay.search.system.hardware import list_gpus

    numbered = [f"gpu:{number}" for number in range(len(list_gpus()))]
    return ["cpu", "gpu", *numbered] if numbered else ["cpu"]


def _precisions(context: click.Context) -> Iterable[str]:
    from assay.models.precision import PRECISIONS

    return PRECISIONS


def _xla(context: click.Context) -> Iterable[str]:
    from assay.experiments.config.options import XLA

    return XLA


def _formats(context: click.Context) -> Iterable[str]:
    from assay.experiments.config.options import EXPORT_FORMATS

    return EXPORT_FORMATS


experiments = _complete_names(_experiments, or_files=True)
studies = _complete_names(_studies)
formats = _complete_names(_formats)
samplers = _complete_names(_samplers)
pruners = _complete_names(_pruners)
families = _complete_names(_families, or_files=True)
backends = _complete_names(_backends)
devices = _complete_names(_devices)
precisions = _complete_names(_precisions)
xla = _complete_names(_xla)
