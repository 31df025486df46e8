"""Whole sweep of a fixed list, by Assay and by its peers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from statistics import median

from tests.benchmarks.configurations import SIGNATURES, configurations
from tests.benchmarks.mnist import mnist
from tests.benchmarks.processes import environment
from tests.benchmarks.rounds import alternate
from tests.benchmarks.row import Row
from tests.benchmarks.sides import (
    ASSAY_SIDE,
    BY_HAND,
    BY_HAND_ON_JAX,
    KERAS_TUNER,
    RAY_TUNE,
    Run,
    Side,
    Work,
    measure,
)

NEEDS_MNIST = True
LARGEST_DIFFERENCE = 0.003
"""Largest allowed difference between best validation accuracies.

A larger one means that the sides did not train the same.
"""

PEERS: Sequence[tuple[Side, float | None, float | None]] = (
    (BY_HAND, 3.5, 4.5),
    (KERAS_TUNER, 3.2, 4.5),
    (RAY_TUNE, 3.2, 4.5),
    (BY_HAND_ON_JAX, None, None),
)
"""Peers, with goal and stretch of the whole sweep."""

SEARCH_GOAL, SEARCH_STRETCH = 4.5, 7.0


def rows(quick: bool, repeats: int = 3) -> Iterator[Row]:
    """Run every side on the same work, and compare the medians.

    The order of the sides changes with the round.
    """
    work = Work(mnist(), configurations(quick))
    _fill_page_cache()
    sides = {side.name: side for side in (ASSAY_SIDE, *(side for side, _, _ in PEERS))}
    runs: dict[str, list[Run]] = {name: [] for name in sides}
    for round_number, name in alternate(list(sides), repeats):
        # Each round has another seed, so that no side's best rests on one lucky seed.
        run = measure(sides[name], replace(work, seed=round_number))
        runs[name].append(run)
        print(
            f"  {name}: {run.seconds:.1f} s, search {run.search_seconds:.1f} s, "
            f"best {run.best:.4f}",
            file=sys.stderr,
        )
    what = f"whole sweep of {len(work.configurations)} trials" + (
        "" if quick else f" with {SIGNATURES} compile keys"
    )
    for peer, goal, stretch in PEERS:
        yield compare(what, "seconds", runs, peer.name, goal, stretch)
    # Assay's search ends with its last trial, and MLflow receives the last results after that. The
    # script's trials write to MLflow before they end.
    yield compare(
        "search alone, from the start of the first trial to the end of the last",
        "search_seconds",
        runs,
        BY_HAND.name,
        SEARCH_GOAL,
        SEARCH_STRETCH,
    )


def compare(
    what: str,
    figure: str,
    runs: Mapping[str, Sequence[Run]],
    peer: str,
    goal: float | None,
    stretch: float | None,
) -> Row:
    """Return the row of a peer's time over Assay's.

    Args:
        what: beginning of the row's label.
        figure: attribute of `Run` to compare, in seconds.
        runs: runs by name of the side.
        peer: name of the peer.
        goal: goal of the row.
        stretch: stretch of the row.
    """
    ours, theirs = (runs[name] for name in (ASSAY_SIDE.name, peer))
    own_seconds, peer_seconds = (
        median(getattr(run, figure) for run in several) for several in (ours, theirs)
    )
    own_best, peer_best = (median(run.best for run in several) for several in (ours, theirs))
    # An accuracy on 10,000 images has four decimals; the rest is rounding error.
    apart = round(abs(own_best - peer_best), 5)
    return Row(
        measure=f"{what}, against {peer}",
        value=peer_seconds / own_seconds,
        unit="x",
        goal=goal,
        stretch=stretch,
        better="more",
        detail={"assay": [asdict(run) for run in ours], "peer": [asdict(run) for run in theirs]},
        note=f"{own_seconds:.1f} s against {peer_seconds:.1f} s; "
        f"best {own_best:.4f} and {peer_best:.4f}",
        flaw=f"best accuracies {apart * 100:.2f} points apart"
        if apart > LARGEST_DIFFERENCE
        else None,
    )


def _fill_page_cache() -> None:
    """Import all libraries once.

    Otherwise the first side would read them from the disk for all others.
    """
    modules = (
        "tensorflow, jax, keras, sklearn.model_selection, optuna, mlflow, ray.tune, keras_tuner, "
        "assay.experiments.run.sweep"
    )
    subprocess.run(
        [sys.executable, "-c", f"import {modules}"],
        env=environment(),
        check=True,
        capture_output=True,
    )
