"""A whole sweep of a fixed list, by Assay and by what people would use in its place."""

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
"""Between best validation accuracies: beyond it, not the same was trained."""

PEERS: Sequence[tuple[Side, float | None, float | None]] = (
    (BY_HAND, 3.5, 4.5),
    (KERAS_TUNER, 3.2, 4.5),
    (RAY_TUNE, 3.2, 4.5),
    (BY_HAND_ON_JAX, None, None),
)
"""With goal and stretch of the whole sweep."""

SEARCH_GOAL, SEARCH_STRETCH = 4.5, 7.0


def rows(quick: bool, repeats: int = 3) -> Iterator[Row]:
    """Have every side do the same work, in another order each round; ratios are of medians."""
    work = Work(mnist(), configurations(quick))
    _touch()
    sides = {side.name: side for side in (ASSAY_SIDE, *(side for side, _, _ in PEERS))}
    runs: dict[str, list[Run]] = {name: [] for name in sides}
    for round_number, name in alternate(list(sides), repeats):
        # Every round has its own seed, so that no side's best is always the lucky one.
        run = measure(sides[name], replace(work, seed=round_number))
        runs[name].append(run)
        print(
            f"  {name}: {run.seconds:.1f} s, search {run.search_seconds:.1f} s, best {run.best:.4f}",
            file=sys.stderr,
        )
    what = f"whole sweep of {len(work.configurations)} trials" + (
        "" if quick else f" of {SIGNATURES} signatures"
    )
    for peer, goal, stretch in PEERS:
        yield compare(what, "seconds", runs, peer.name, goal, stretch)
    # Ours ends with its last trial, and MLflow hears of the last ones after that; a peer's last
    # trial has told it.
    yield compare(
        "search alone, first trial's begin to last one's end",
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
    """Return how many times longer a peer took, by one of the figures of its runs."""
    ours, theirs = (runs[name] for name in (ASSAY_SIDE.name, peer))
    own_seconds, peer_seconds = (
        median(getattr(run, figure) for run in several) for several in (ours, theirs)
    )
    own_best, peer_best = (median(run.best for run in several) for several in (ours, theirs))
    apart = round(
        abs(own_best - peer_best), 5
    )  # of 10,000 images; what a float adds is no difference
    return Row(
        measure=f"{what}, against {peer}",
        value=peer_seconds / own_seconds,
        unit="x",
        goal=goal,
        stretch=stretch,
        better="more",
        detail={"assay": [asdict(run) for run in ours], "peer": [asdict(run) for run in theirs]},
        note=f"{own_seconds:.1f} s against {peer_seconds:.1f} s; best {own_best:.4f} and {peer_best:.4f}",
        flaw=f"best accuracies {apart * 100:.2f} points apart"
        if apart > LARGEST_DIFFERENCE
        else None,
    )


def _touch() -> None:
    """Have what is imported read from the disk once, so that the first side need not do it for the others."""
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
