"""What the shell offers for an argument: everything here must be told at once, so stores are left closed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _offering(names: Callable[[click.Context], Iterable[str]], files: bool = False) -> Completer:
    """Return a completer of names, and of files if none of them begins as what was typed."""

    def complete(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
        found = [CompletionItem(name) for name in names(context) if name.startswith(typed)]
        return found or ([CompletionItem(typed, type="file")] if files else [])

    return complete


def _experiments(context: click.Context) -> Iterable[str]:
    # By the names of the files: reading them, as `experiments.catalog` does, takes Optuna.
    return sorted(path.stem for path in (Path(__file__).parent.parent / "catalog").glob("*.toml"))


def _studies(context: click.Context) -> Iterable[str]:
    from experiments.home import Home
    from experiments.journals import journal_names

    return journal_names(Home(Path(context.params.get("home") or "mlruns").expanduser().resolve()))


def _samplers(context: click.Context) -> Iterable[str]:
    from search.samplers import SAMPLERS

    return SAMPLERS


def _pruners(context: click.Context) -> Iterable[str]:
    from search.pruners import PRUNERS

    return PRUNERS


def _families(context: click.Context) -> Iterable[str]:
    from models.families import FAMILIES

    return FAMILIES


def _backends(context: click.Context) -> Iterable[str]:
    from experiments.execution import BACKENDS

    return BACKENDS


def _devices(context: click.Context) -> Iterable[str]:
    from search.cards import cards

    found = [f"gpu:{number}" for number in range(len(cards()))]
    return ["cpu", "gpu", *found] if found else ["cpu"]


def _precisions(context: click.Context) -> Iterable[str]:
    from models.precision import PRECISIONS

    return PRECISIONS


def _xla(context: click.Context) -> Iterable[str]:
    from experiments.execution import XLA

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
