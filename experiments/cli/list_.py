"""`assay list`: what there is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

from assay.experiments.cli import options
from assay.experiments.terminal_text import visible

Listing = Mapping[str, object]
"""What there is by name, with what says more of it: a line of text, or what shows as one."""


@click.command(
    "list", short_help="What there is: experiments, models, data sets, samplers, pruners, studies."
)
@click.argument("kinds", nargs=-1, shell_complete=lambda context, parameter, typed: _offered(typed))
@options.store_paths
@options.json_output
def command(kinds: tuple[str, ...], as_json: bool, **store_paths: str | None) -> int:
    """List what there is, with a line of what each thing is; everything, or only the KINDS named.

    KINDS: experiments, models, datasets, samplers, pruners, studies.

    \b
    Example:
      assay list experiments
    """
    from assay.models.names import check_name

    asked = [check_name("kind", kind, _KINDS) for kind in kinds or _KINDS]
    found = {kind: _KINDS[kind](store_paths) for kind in asked}
    if as_json:
        click.echo(json.dumps({kind: _records(listing) for kind, listing in found.items()}))
    else:
        _print(found)
    return 0


def _print(found: Mapping[str, Listing]) -> None:
    for kind, listing in found.items():
        width = max(map(len, listing), default=0)
        click.secho(kind, bold=True)
        for name, line in listing.items():
            click.echo(visible(f"  {name:<{width}}  {line}"))
        if not listing:
            click.echo("  none yet")


def _records(listing: Listing) -> dict[str, Any]:
    return {
        name: about.to_record() if hasattr(about, "to_record") else about
        for name, about in listing.items()
    }


def _offered(typed: str) -> list[CompletionItem]:
    return [CompletionItem(kind) for kind in _KINDS if kind.startswith(typed)]


def _experiments(store_paths: Mapping[str, Any]) -> Listing:
    from assay.experiments.config.catalog import load, names

    return {name: load(name).title for name in names()}


def _models(store_paths: Mapping[str, Any]) -> Listing:
    from assay.models.architectures.registry import FAMILIES

    own = {"nets.py:function": "your own, by a function in a file; or package.module:function"}
    return {name: family.summary for name, family in FAMILIES.items()} | own


def _datasets(store_paths: Mapping[str, Any]) -> Listing:
    from assay.experiments.data.registry import summaries

    return summaries()


def _samplers(store_paths: Mapping[str, Any]) -> Listing:
    from assay.search.samplers import SAMPLERS

    return {name: sampler.summary for name, sampler in SAMPLERS.items()}


def _pruners(store_paths: Mapping[str, Any]) -> Listing:
    from assay.search.pruners import PRUNERS

    return {name: pruner.summary for name, pruner in PRUNERS.items()}


def _studies(store_paths: Mapping[str, Any]) -> Listing:
    from assay.experiments.results.listing import summaries
    from assay.experiments.workspace import StorePaths

    return summaries(StorePaths.choose(**store_paths))


_KINDS: dict[str, Callable[[Mapping[str, Any]], Listing]] = {
    "experiments": _experiments,
    "models": _models,
    "datasets": _datasets,
    "samplers": _samplers,
    "pruners": _pruners,
    "studies": _studies,
}
