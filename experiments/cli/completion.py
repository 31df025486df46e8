"""`assay completion`: has the shell complete verbs, options and names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

_PROGRAM = "assay"
_VARIABLE = "_ASSAY_COMPLETE"
"""What click reads when the shell asks it for completions: from the program's name, by its own
rule.
"""


@click.command(
    "completion", short_help="Print what has your shell complete verbs, options and names."
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> int:
    """Print a script that has SHELL complete what is typed after assay: verbs, options,
    experiments, studies and more.

    \b
    Example:
      eval "$(assay completion bash)"              in ~/.bashrc, for every new shell
      eval "$(assay completion zsh)"               in ~/.zshrc
      assay completion fish | source               in ~/.config/fish/config.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows the three shells"
    click.echo(kind(context.find_root().command, {}, _PROGRAM, _VARIABLE).source())
    return 0


# What the shell offers for an argument: everything here must be told at once, so stores are left
# closed.


Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _offering(names: Callable[[click.Context], Iterable[str]], files: bool = False) -> Completer:
    """Return a completer of names, and of files if none of them begins as what was typed."""

    def complete(
        context: click.Context, parameter: click.Parameter, typed: str
    ) -> list[CompletionItem]:
        found = [CompletionItem(name) for name in names(context) if name.startswith(typed)]
        return found or ([CompletionItem(typed, type="file")] if files else [])

    return complete


def _experiments(context: click.Context) -> Iterable[str]:
    # By the names of the files: reading them, as `assay.experiments.config.catalog` does, takes
    # Optuna.
    return sorted(path.stem for path in (Path(__file__).parent.parent / "catalog").glob("*.toml"))


def _studies(context: click.Context) -> Iterable[str]:
    from assay.experiments.workspace import Workspace, journal_names

    return journal_names(
        Workspace(Path(context.params.get("home") or "mlruns").expanduser().resolve())
    )


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
    from assay.experiments.run.execution import BACKENDS

    return BACKENDS


def _devices(context: click.Context) -> Iterable[str]:
    from assay.search.system.hardware import gpus

    found = [f"gpu:{number}" for number in range(len(gpus()))]
    return ["cpu", "gpu", *found] if found else ["cpu"]


def _precisions(context: click.Context) -> Iterable[str]:
    from assay.models.precision import PRECISIONS

    return PRECISIONS


def _xla(context: click.Context) -> Iterable[str]:
    from assay.experiments.run.execution import XLA

    return XLA


# What is imported above, when it is asked for, imports nothing heavy: a test sees to it.
experiments = _offering(_experiments, files=True)
studies = _offering(_studies)
samplers = _offering(_samplers)
pruners = _offering(_pruners)
families = _offering(_families, files=True)
backends = _offering(_backends)
devices = _offering(_devices)
precisions = _offering(_precisions)
xla = _offering(_xla)
