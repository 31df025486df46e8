"""Sides of the comparison: Assay and its peers.

Each side is a whole process in a fresh folder. Assay runs as the command `assay`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.search.events import TrialBegun, TrialEnded
from assay.search.journal import read_events
from assay.search.system.hardware import count_cores
from tests.benchmarks.configurations import (
    ACTIVATIONS,
    BATCH_SIZES,
    EPOCHS,
    HIDDEN_UNITS,
    LEARNING_RATES,
    Configuration,
)
from tests.benchmarks.processes import MeasureError, environment, run

ASSAY = str(Path(sys.executable).with_name("assay"))


@dataclass(frozen=True)
class Work:
    """Work that every side does."""

    mnist: Path
    configurations: Sequence[Configuration]
    epochs: int = EPOCHS
    seed: int = 0


@dataclass(frozen=True)
class Answer:
    """Result that a side reports.

    Args:
        best: best validation accuracy.
        search_seconds: duration of the search.
        trials: number of complete trials.
    """

    best: float
    search_seconds: float
    trials: int


@dataclass(frozen=True)
class Side:
    """One way to do the work.

    Args:
        name: name in the table.
        command: returns the command for a folder that contains the list as `list.json`, and
            writes the other files that it needs.
        read: returns the answer, given the standard output and the folder.
        backend: backend of Keras.
    """

    name: str
    command: Callable[[Work, Path], Sequence[str]]
    read: Callable[[str, Path], Answer]
    backend: str = "tensorflow"


@dataclass(frozen=True)
class Run:
    """Measured run of a side.

    Args:
        seconds: wall time of the whole process, including imports.
        best: best validation accuracy.
        search_seconds: duration of the search.
    """

    seconds: float
    best: float
    search_seconds: float


def measure(side: Side, work: Work) -> Run:
    """Run a side in a fresh folder.

    The folder also takes its stores and prepared data.

    Raises:
        MeasureError: the side failed, or did not complete every trial.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        (folder / "list.json").write_text(json.dumps(work.configurations))
        done = run(side.command(work, folder), folder, environment(KERAS_BACKEND=side.backend))
        answer = side.read(done.out, folder)
    if answer.trials != len(work.configurations):
        raise MeasureError(
            f"{side.name} completed {answer.trials} of {len(work.configurations)} trials"
        )
    return Run(done.seconds, answer.best, answer.search_seconds)


def _toml(epochs: int) -> str:
    # A JSON list of numbers or strings is also a TOML list.
    return f"""title = "The benchmark's list"

[data]
name = "mnist"
validation = 10000

[model]
family = "mlp"

[train]
epochs = {epochs}
optimizer = "adam"

[space]
hidden_units = {json.dumps(HIDDEN_UNITS)}
batch_size = {json.dumps(BATCH_SIZES)}
activation = {json.dumps(ACTIVATIONS)}
learning_rate = {json.dumps(LEARNING_RATES)}

[search]
pruner = "none"
"""


def _assay_command(work: Work, folder: Path) -> Sequence[str]:
    (folder / "bench.toml").write_text(_toml(work.epochs))
    # One worker per core is also Assay's default.
    sized = ["--trials", str(len(work.configurations)), "--workers", str(count_cores())]
    store_paths = ["--home", "home", "--data-dir", str(work.mnist.parent)]
    seed = ["--seed", str(work.seed)]
    return [
        ASSAY,
        "sweep",
        "bench.toml",
        "--enqueue",
        "list.json",
        *sized,
        *seed,
        *store_paths,
        "--json",
    ]


def _assay_answer(out: str, folder: Path) -> Answer:
    result = json.loads(out)
    (journal,) = (folder / "home" / "journal").glob("*.jsonl")
    events = [event for event, _ in read_events(journal)]
    began = min(event.time for event in events if isinstance(event, TrialBegun))
    ended = max(event.time for event in events if isinstance(event, TrialEnded))
    return Answer(
        best=result["best"]["value"],
        search_seconds=ended - began,
        trials=result["trials"]["complete"],
    )


def _peer(name: str, module: str, backend: str = "tensorflow") -> Side:
    def command(work: Work, folder: Path) -> Sequence[str]:
        script = [sys.executable, "-m", f"tests.benchmarks.peers.{module}", "list.json"]
        return [
            *script,
            "--mnist",
            str(work.mnist),
            "--epochs",
            str(work.epochs),
            "--seed",
            str(work.seed),
        ]

    return Side(name, command, lambda out, _: Answer(**json.loads(out.splitlines()[-1])), backend)


ASSAY_SIDE = Side("Assay", _assay_command, _assay_answer)
BY_HAND = _peer("a script by hand", "by_hand")
BY_HAND_ON_JAX = _peer("the same script on JAX", "by_hand", backend="jax")
KERAS_TUNER = _peer("KerasTuner", "keras_tuner_")
RAY_TUNE = _peer("Ray Tune", "ray_tune")
