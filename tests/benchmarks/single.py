"""Each configuration by Assay, compared with plain `fit`.

No configuration must take longer than by plain `fit`, including the compilation.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from tests.benchmarks.children import child
from tests.benchmarks.configurations import EPOCHS, VARIANTS, Configuration, configurations
from tests.benchmarks.duel import THREADS, by_assay, by_fit, set_up
from tests.benchmarks.mnist import mnist
from tests.benchmarks.prepared import prepared
from tests.benchmarks.row import Row

NEEDS_MNIST = True
SIDES: dict[str, Callable[[Configuration, int], float]] = {"assay": by_assay, "fit": by_fit}


def rows(quick: bool, repeats: int = 3) -> Iterator[Row]:
    """Train each pair of width and batch size by both sides.

    The sides train in turn. Each round has a fresh process, which reuses no compiled code.
    """
    pairs = {
        f"{one['hidden_units']} units, batches of {one['batch_size']}": one
        for one in configurations(quick)[::VARIANTS]
    }
    seconds: dict[str, dict[str, list[float]]] = {
        pair: {side: [] for side in SIDES} for pair in pairs
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = prepared(mnist(), Path(place))
        for round_number in range(repeats):
            with child() as pool:
                pool.submit(set_up, folder).result()
                for number, (pair, configuration) in enumerate(pairs.items()):
                    # The side that goes first changes with the pair and with the round.
                    for side in sorted(SIDES, reverse=(number + round_number) % 2 == 1):
                        taken = pool.submit(SIDES[side], configuration, EPOCHS).result()
                        seconds[pair][side].append(taken)
                        print(f"  {pair}, {side}: {taken:.2f} s", file=sys.stderr)
    ratios = {
        pair: median(taken["fit"]) / median(taken["assay"]) for pair, taken in seconds.items()
    }
    worst = min(ratios, key=lambda pair: ratios[pair])
    yield Row(
        measure=f"the slowest configuration, against plain fit, {THREADS} thread",
        value=ratios[worst],
        unit="x",
        goal=1.0,
        stretch=None,
        better="more",
        detail={"ratios": ratios, "seconds": seconds},
        note=f"{worst}; the median is {median(ratios.values()):.1f}x",
    )
