"""`assay completion`: has the shell complete verbs, options and names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_PROGRAM = "assay"
_VARIABLE = "_ASSAY_COMPLETE"
"""What click reads when the shell asks it for completions: from the program's name, by its own rule."""


@click.command("completion", short_help="Print what has your shell complete verbs, options and names.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> int:
    """Print a script that has SHELL complete what is typed after assay: verbs, options, experiments, studies and more.

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
