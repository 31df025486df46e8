"""A thousand tracked trials of a small network on one GPU.

`make bench-gpu` runs this measure, on JAX. It is not a part of `make bench`, because it needs a
GPU. Without one it runs only with --quick, whose figures are not meaningful.
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
    """Measure one sweep, and a few trainings by plain `fit`.

    The sweep ends when MLflow has every result. The trainings run one after the other.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        platform, device_name = device(folder)
        if platform != "gpu" and not quick:
            raise MeasureError(
                f"it needs a card that JAX computes on and found {device_name}: "
                "use --quick without one"
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
        events = [
            event for event, _ in read_events(folder / "home" / "journal" / "mnist-mlp.jsonl")
        ]
        plain = plain_seconds(folder, epochs)
    began = min(event.time for event in events if isinstance(event, TrialBegun))
    ends = [event for event in events if isinstance(event, TrialEnded)]
    training = max(end.time for end in ends) - began
    epoch_seconds = sum(end.metrics["train_seconds"] for end in ends)
    what = (
        f"{trials} trials of an MLP with 2 x {HIDDEN_UNITS[0]} hidden units, "
        f"{epochs} epochs, on {device_name}"
    )
    detail: dict[str, Any] = {"together": together, "plain_fit_seconds_by_trial": plain}
    yield Row(
        f"{what}: whole sweep, with all results in MLflow",
        study.seconds,
        "s",
        90.0,
        None,
        "less",
        detail,
    )
    note = f"{epoch_seconds:.1f} s of it in epochs, the rest in compiling, starting and pruning"
    yield Row(
        f"{what}: from the start of the first trial to the end of the last",
        training,
        "s",
        25.0,
        None,
        "less",
        note=note,
    )
    ratio = sum(plain) / len(plain) * trials / study.seconds
    yield Row(f"{what}: against untracked plain fit, one at a time", ratio, "x", 30.0, None, "more")


def device(folder: Path) -> tuple[str, str]:
    """Return the platform of JAX, "gpu" or "cpu", and the device's name.

    A subprocess runs JAX, so that the device is free afterwards.
    """
    program = (
        "import jax, json; d = jax.devices()[0]; print(json.dumps([d.platform, d.device_kind]))"
    )
    platform, kind = _printed(folder, program)
    return platform, kind


def plain_seconds(folder: Path, epochs: int) -> list[float]:
    """Return the seconds of each training by plain `fit`.

    Imports and loading the data are not included.
    """
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
    model = keras.Sequential(
        [keras.Input((28, 28)), keras.layers.Flatten(), *hidden, keras.layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss, metrics=["accuracy"])
    model.fit(
        x,
        y,
        batch_size={BATCH_SIZE},
        epochs=epochs,
        validation_data=validation_data,
        verbose=0,
    )
    seconds.append(time.perf_counter() - started)
print(json.dumps(seconds[1:]))  # the first includes the start of the backend
"""


def _check(home: Path, trials: int, epochs: int) -> None:
    """Check that MLflow has every trial and every point of its curves.

    Raises:
        MeasureError: trials or points are missing.
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
            f"MLflow has {len(complete)} of {trials} complete trials and {points} curve points"
        )


def _printed(folder: Path, program: str, *arguments: str) -> Any:
    done = run(
        [sys.executable, "-c", program, *arguments], folder, environment(KERAS_BACKEND="jax")
    )
    return json.loads(done.out.splitlines()[-1])
