"""A thousand tracked trials of a small network on one card, by JAX: `make bench-gpu`.

Apart from `make bench`, since it needs a card. Without one it runs only with --quick, which claims nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments import sweep
from search.events import EpochEnded, TrialEnded
from search.journal import read
from tests.benchmarks.row import Row

TRIALS = 1000
PLAIN_TRIALS = 3
TOGETHER = 128
ROOT = Path(__file__).parents[2]


def rows(quick: bool) -> Iterator[Row]:
    """Sweep once, everything in MLflow when it ends; then train a few such by plain `fit`, one after the other."""
    platform, card = device()
    if platform != "gpu" and not quick:
        raise SystemExit(f"bench-gpu needs a card that JAX computes on; it found {card}: --quick shows that it runs.")
    trials, together = (8, 4) if quick else (TRIALS, TOGETHER)
    experiment = "digits-mlp" if quick else "mnist-mlp"
    fixed = {"hidden_units": [128, 128], "activation": "relu", "batch_size": 128}
    epochs = 2 if quick else 10
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as home:
        study = sweep(
            experiment,
            trials=trials,
            epochs=epochs,
            sampler="random",
            pruner="none",
            set=fixed,
            workers=1,
            backend="jax",
            fuse=together,
            home=home,
            progress=False,
        )
        told = [event for event, _ in read(Path(home) / "journal" / f"{experiment}.jsonl")]
        seen = sum(isinstance(event, EpochEnded) for event in told)
        if study.counts["complete"] != trials or not len(study.epochs) == seen == trials * epochs:
            raise RuntimeError(f"not every epoch of {trials} trials is in MLflow: {study.counts}, {len(study.epochs)}")
        plain = plain_seconds(Path(home), epochs)
    training = sum(event.metrics["train_seconds"] for event in told if isinstance(event, TrialEnded))
    what = f"{trials} trials of an MLP with 2 x 128 hidden units, {epochs} epochs, on {card}"
    detail: dict[str, Any] = {"together": together, "plain_fit_seconds_by_trial": plain}
    yield Row(f"{what}: tracked", study.seconds, "s", 90.0, None, "less", detail)
    yield Row(f"{what}: training alone", training, "s", 25.0, None, "less")
    ratio = sum(plain) / len(plain) * trials / study.seconds
    yield Row(f"{what}: over plain fit, one after the other, untracked", ratio, "x", 30.0, None, "more")


def device() -> tuple[str, str]:
    """Return what JAX computes on, "gpu" or "cpu", and its name; asked in a process that then lets go of it."""
    platform, kind = _printed("import jax, json; d = jax.devices()[0]; print(json.dumps([d.platform, d.device_kind]))")
    return platform, kind


def plain_seconds(home: Path, epochs: int) -> list[float]:
    """Return the seconds of each of a few trainings by Keras' own `fit`, imports and reading apart."""
    (folder,) = (path.parent for path in (home / "data").rglob("meta.json"))
    seconds: list[float] = _printed(_PLAIN, str(folder), str(epochs), str(PLAIN_TRIALS))
    return seconds


_PLAIN = """
import json, sys, time
from pathlib import Path

from models.backends.plain import PlainBackend
from models.data import load
from models.families import FAMILIES
from models.recipe import Recipe
from models.seeding import seed_everything
from models.train import TrainSettings

folder, epochs, trials = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
family = FAMILIES["mlp"]
recipe = Recipe(family, family.settings(hidden_units=[128, 128]), TrainSettings(epochs=epochs, batch_size=128))
resident = PlainBackend().hold(load(folder, "unit"))
seconds = []
for seed in range(trials + 1):
    started = time.perf_counter()
    seed_everything(seed)
    model = recipe.compile(recipe.describe(resident.shape.input_shape, resident.shape.outputs))
    list(recipe.fit(model, resident, seed))
    seconds.append(time.perf_counter() - started)
print(json.dumps(seconds[1:]))  # the first has the start of the backend in it
"""


def _printed(program: str, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])
