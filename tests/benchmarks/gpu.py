"""A thousand tracked trials of a small network on one card, by JAX: `make bench-gpu`.

Apart from `make bench`, since it needs a card. Without one it runs only with --quick, which claims
nothing.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from assay import sweep
from assay.search.events import TrialBegun, TrialEnded
from assay.search.journal import read_events
from tests.benchmarks.mnist import mnist
from tests.benchmarks.processes import MeasureError, environment, run
from tests.benchmarks.row import Row

NEEDS_MNIST = True
TRIALS = 1000
PLAIN_TRIALS = 3
TOGETHER = 128
HIDDEN_UNITS = (128, 128)
BATCH_SIZE = 128
_CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")


def rows(quick: bool) -> Iterator[Row]:
    """Sweep once, everything in MLflow when it ends; then train a few such by plain `fit`, one after the other."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        platform, card = device(folder)
        if platform != "gpu" and not quick:
            raise MeasureError(
                f"it needs a card that JAX computes on and found {card}: --quick shows that it runs"
            )
        trials, together, epochs = (8, 4, 2) if quick else (TRIALS, TOGETHER, 10)
        study = sweep(
            "mnist-mlp",
            trials=trials,
            epochs=epochs,
            sampler="random",
            pruner="none",
            set={
                "hidden_units": list(HIDDEN_UNITS),
                "activation": "relu",
                "batch_size": BATCH_SIZE,
            },
            workers=1,
            backend="jax",
            fuse=together,
            home=folder / "home",
            data_dir=mnist().parent,
            progress=False,
        )
        _check(folder / "home", trials, epochs)
        told = [event for event, _ in read_events(folder / "home" / "journal" / "mnist-mlp.jsonl")]
        plain = plain_seconds(folder, epochs)
    began = min(event.time for event in told if isinstance(event, TrialBegun))
    ends = [event for event in told if isinstance(event, TrialEnded)]
    training = max(end.time for end in ends) - began
    alone = sum(end.metrics["train_seconds"] for end in ends)
    what = f"{trials} trials of an MLP with 2 x {HIDDEN_UNITS[0]} hidden units, {epochs} epochs, on {card}"
    detail: dict[str, Any] = {"together": together, "plain_fit_seconds_by_trial": plain}
    yield Row(f"{what}: all in MLflow", study.seconds, "s", 90.0, None, "less", detail)
    note = f"of it {alone:.1f} s in epochs, the rest compiling, beginning and pruning"
    yield Row(
        f"{what}: from the first's begin to the last's end",
        training,
        "s",
        25.0,
        None,
        "less",
        note=note,
    )
    ratio = sum(plain) / len(plain) * trials / study.seconds
    yield Row(
        f"{what}: over plain fit, one after the other, untracked", ratio, "x", 30.0, None, "more"
    )


def device(folder: Path) -> tuple[str, str]:
    """Return what JAX computes on, "gpu" or "cpu", and its name; asked in a process that then lets go of it."""
    program = (
        "import jax, json; d = jax.devices()[0]; print(json.dumps([d.platform, d.device_kind]))"
    )
    platform, kind = _printed(folder, program)
    return platform, kind


def plain_seconds(folder: Path, epochs: int) -> list[float]:
    """Return the seconds of each of a few trainings by Keras' own `fit`, imports and reading apart."""
    seconds: list[float] = _printed(folder, _PLAIN, str(mnist()), str(epochs), str(PLAIN_TRIALS))
    return seconds


_PLAIN = f"""
import json, sys, time
from pathlib import Path

import keras

from tests.benchmarks.peers.common import load

file, epochs, trials = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
(x, y), validation_data = load(file)
seconds = []
for seed in range(trials + 1):
    started = time.perf_counter()
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    hidden = [keras.layers.Dense(units, activation="relu") for units in {HIDDEN_UNITS}]
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), *hidden, keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss, metrics=["accuracy"])
    model.fit(x, y, batch_size={BATCH_SIZE}, epochs=epochs, validation_data=validation_data, verbose=0)
    seconds.append(time.perf_counter() - started)
print(json.dumps(seconds[1:]))  # the first has the start of the backend in it
"""


def _check(home: Path, trials: int, epochs: int) -> None:
    """See that MLflow has every trial with every point of its curves.

    Raises:
        MeasureError: it has not.
    """
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    complete = client.search_runs(
        experiments, "tags.`assay.state` = 'complete'", max_results=10_000
    )
    points = sum(
        len(client.get_metric_history(run.info.run_id, name))
        for run in complete
        for name in _CURVES
    )
    if (len(complete), points) != (trials, trials * epochs * len(_CURVES)):
        raise MeasureError(
            f"MLflow has {len(complete)} of {trials} complete trials and {points} points of curves"
        )


def _printed(folder: Path, program: str, *arguments: str) -> Any:
    done = run(
        [sys.executable, "-c", program, *arguments], folder, environment(KERAS_BACKEND="jax")
    )
    return json.loads(done.out.splitlines()[-1])
