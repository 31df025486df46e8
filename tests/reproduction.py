"""Train recorded runs again and compare: `python -m tests.reproduction [--runs N] [BACKEND ...]`.

Every run is made by a sweep with two workers, and reproduced. With `--deterministic` (ten runs on
each backend by default) the largest difference of every metric and epoch must be exactly 0. Without
it, trials that trained alone, and those of a trial batch on JAX, must be within the default
tolerance.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay import ReproduceResult, reproduce, sweep

BACKENDS = ("tensorflow", "jax")

_EXPERIMENTS = {
    # Random numbers in training, and variables that are no weights.
    "perceptron": """
title = "a perceptron to be trained again"
[data]
name = "digits"
[model]
family = "mlp"
dropout = 0.3
[train]
epochs = 4
[space]
hidden_units = [24, 48]
batch_norm = [true, false]
learning_rate = { low = 1e-4, high = 1e-1, log = true }
[search]
sampler = "random"
""",
    # Convolutions, augmentation, a schedule and early stopping.
    "convolutions": """
title = "convolutions to be trained again"
[data]
name = "digits"
[model]
family = "cnn"
filters = 4
[train]
epochs = 3
batch_size = 64
shift = 1
schedule = "cosine"
early_stopping = 2
[space]
optimizer = ["adam", "momentum"]
learning_rate = { low = 1e-3, high = 1e-1, log = true }
[search]
sampler = "random"
""",
    # What a worker trains together on JAX.
    "rates": """
title = "learning rates to be trained together"
[data]
name = "digits"
[model]
family = "mlp"
hidden_units = 32
[train]
epochs = 6
[space]
learning_rate = { low = 1e-3, high = 1e-1, log = true }
[search]
sampler = "random"
""",
}


@dataclass(frozen=True)
class Case:
    """A sweep whose trials are trained again."""

    experiment: str
    backend: str
    trials: int
    deterministic: bool = False
    fuse: int | str = "auto"


def deterministic_cases(backend: str, runs: int) -> list[Case]:
    """Return the sweeps of a number of runs that are the same to the last bit."""
    first = -(-runs // 2)
    shares = {"perceptron": first, "convolutions": runs - first}
    return [Case(name, backend, trials, True) for name, trials in shares.items() if trials > 0]


def plain_cases(backend: str, trials: int) -> list[Case]:
    """Return sweeps without deterministic operations; on JAX one of trial batches too."""
    cases = [Case("convolutions", backend, trials)]
    # Two workers have two trials each at least, or none would train together.
    together = Case("rates", backend, max(4, trials), fuse=3)
    return [*cases, together] if backend == "jax" else cases


def reproduce_trials(case: Case, folder: Path) -> Iterator[ReproduceResult]:
    """Sweep with two workers, and train each trial again.

    Args:
        case: the sweep.
        folder: for the experiment and home.
    """
    file = folder / f"{case.experiment}.toml"
    file.write_text(_EXPERIMENTS[case.experiment], encoding="utf-8")
    home = folder / f"home-{case.experiment}"
    study = sweep(
        file,
        trials=case.trials,
        backend=case.backend,
        device="cpu",
        workers=2,
        deterministic=case.deterministic,
        fuse=case.fuse,
        home=home,
        progress=False,
    )
    for run_id in study.trials["run_id"]:
        tolerance = 0.0 if case.deterministic else None
        yield reproduce(
            run_id,
            tolerance=tolerance,
            deterministic=case.deterministic,
            home=home,
            progress=False,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return 1 if a run was not reproduced, else 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("backend", nargs="*", help=f"{' or '.join(BACKENDS)}; all by default")
    parser.add_argument("--runs", type=int, default=10, help="deterministic runs per backend")
    options = parser.parse_args(arguments)
    if unknown := set(options.backend).difference(BACKENDS):
        parser.error(f"there is no backend {unknown.pop()}")
    failed = 0
    for backend in options.backend or BACKENDS:
        for case in (*deterministic_cases(backend, options.runs), *plain_cases(backend, 2)):
            with tempfile.TemporaryDirectory() as folder:
                for result in reproduce_trials(case, Path(folder)):
                    failed += not result.within
                    print(_format(case, result), flush=True)
    print(f"{failed} not reproduced" if failed else "all were reproduced")
    return int(failed > 0)


def _format(case: Case, result: ReproduceResult) -> str:
    how = "deterministic" if case.deterministic else f"plain, fuse {case.fuse}"
    verdict = "reproduced" if result.within else "NOT reproduced"
    return (
        f"{case.backend} ({how}): {result.title}: {verdict}, largest difference "
        f"{result.largest_difference:.3g} of {len(result.metrics)} metrics, "
        f"{result.epochs_now} epochs, tolerance {result.tolerance:g}"
    )


if __name__ == "__main__":
    sys.exit(main())
