"""`assay list`: experiments, models, data sets, samplers, pruners, studies and single runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

from assay.experiments.cli import common
from assay.experiments.terminal_text import escape_text

Listing = Mapping[str, object]
"""Things of one kind by name: a line about each, or an object that formats as one."""


@click.command(
    "list",
    short_help="List experiments, models, data sets, samplers, pruners, studies and single runs.",
)
@click.argument("kinds", nargs=-1, shell_complete=lambda context, parameter, typed: _kinds(typed))
@common.store_paths
@common.json_output
def command(kinds: tuple[str, ...], as_json: bool, **store_paths: str | None) -> int:
    """List everything but runs, or only the given KINDS, with a line about each entry.

    KINDS: experiments, models, datasets, samplers, pruners, studies, runs (single runs in MLflow).

    \b
    Example:
      assay list experiments
      assay list runs
    """
    from assay.models.names import check_name

    chosen = [check_name("kind", kind, _LISTINGS) for kind in kinds] or _DEFAULT_KINDS
    listings = {kind: _LISTINGS[kind](store_paths) for kind in chosen}
    if as_json:
        records = {kind: _to_records(listing) for kind, listing in listings.items()}
        click.echo(common.as_json(records))
    else:
        _print_listings(listings)
    return 0


def _print_listings(listings: Mapping[str, Listing]) -> None:
    from rich.text import Text  # here, so that --help need not import Rich

    from assay.experiments.console.tables import create_console

    for kind, listing in listings.items():
        width = max(map(len, listing), default=0)
        create_console().print(Text(kind, style="bold"))
        for name, line in listing.items():
            click.echo(escape_text(f"  {name:<{width}}  {line}"))
        if not listing:
            click.echo("  none yet")


def _to_records(listing: Listing) -> dict[str, Any]:
    return {
        name: entry.to_record() if hasattr(entry, "to_record") else entry
        for name, entry in listing.items()
    }


def _kinds(typed: str) -> list[CompletionItem]:
    return [CompletionItem(kind) for kind in _LISTINGS if kind.startswith(typed)]


# What each listing imports, it imports itself: `assay list models` need not wait for Optuna.


def _list_experiments(store_paths: Mapping[str, Any]) -> Listing:
    from assay.experiments.config.catalog import list_catalog, resolve_experiment

    return {name: resolve_experiment(name).title for name in list_catalog()}


def _list_models(store_paths: Mapping[str, Any]) -> Listing:
    from assay.models.architectures.registry import FAMILIES

    custom = {"nets.py:function": "a custom function in a file; or package.module:function"}
    return {name: family.summary for name, family in FAMILIES.items()} | custom


def _list_datasets(store_paths: Mapping[str, Any]) -> Listing:
    from assay.experiments.data.registry import summarize_data_sets

    return summarize_data_sets()


def _list_samplers(store_paths: Mapping[str, Any]) -> Listing:
    from assay.search.samplers import SAMPLERS

    return {name: sampler.summary for name, sampler in SAMPLERS.items()}


def _list_pruners(store_paths: Mapping[str, Any]) -> Listing:
    from assay.search.pruners import PRUNERS

    return {name: pruner.summary for name, pruner in PRUNERS.items()}


def _list_studies(store_paths: Mapping[str, Any]) -> Listing:
    from assay.experiments.results.listing import summarize_studies
    from assay.experiments.workspace import StorePaths

    chosen = StorePaths.choose(**store_paths)
    common.warn_if_moved(chosen.workspace)
    return summarize_studies(chosen)


def _list_runs(store_paths: Mapping[str, Any]) -> Listing:
    from assay.experiments.tracking.lookup import list_single_runs
    from assay.experiments.workspace import StorePaths

    return {run.run_id: run for run in list_single_runs(StorePaths.choose(**store_paths))}


_LISTINGS: dict[str, Callable[[Mapping[str, Any]], Listing]] = {
    "experiments": _list_experiments,
    "models": _list_models,
    "datasets": _list_datasets,
    "samplers": _list_samplers,
    "pruners": _list_pruners,
    "studies": _list_studies,
    "runs": _list_runs,
}
# Runs are in MLflow alone, which takes seconds to import and may be a server that is away.
_DEFAULT_KINDS = [kind for kind in _LISTINGS if kind != "runs"]
