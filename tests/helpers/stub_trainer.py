"""Trainers that take milliseconds, for tests of everything except training."""

from __future__ import annotations

import hashlib
import json
import math
import os
import signal
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

import assay.models
from assay.models.errors import RequestError


def preload() -> None:
    """Import nothing."""


def failing_preload() -> None:
    raise RuntimeError("the backend is broken")


class StubTrainer:
    """Trains by a script.

    Attributes of the trial's spec, all optional except `curve`:
        curve: values of the objective, one per epoch.
        metric: name of the objective.
        raises: `check` and `begin` raise a ValueError with this text.
        refuses: `check` raises a RequestError with this text.
        exhausts: `begin` raises a MemoryError.
        mistakes: `begin` fails in assay's own code.
        signal: name of a signal that the process sends to itself in the second epoch.
        seconds: length of an epoch.
        awaits: a file that the last epoch waits for.
        save_seconds: duration of saving the model.
        unsaved: reason why the model could not be saved.
        grow_bytes: growth of the process with the trial.
        parameters: number of parameters of the network.
        stops: additional entries of the last epoch's reply.
        log: a file with one line for each begin, epoch, finish and drop.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._kept: list[bytes] = []
        self._lanes: dict[int, StubTrainer] = {}

    def device(self) -> dict[str, Any]:
        return {"device": "gpu: a stub"}

    def check(
        self,
        spec: Mapping[str, Any],
        train_names: Sequence[str] = (),
        data_names: Sequence[str] = (),
        other_values: Mapping[str, Any] = MappingProxyType({}),
    ) -> dict[str, Any]:
        if "raises" in spec:
            raise ValueError(spec["raises"])
        if "refuses" in spec:
            raise RequestError(spec["refuses"])
        return {"parameters": 26, "metrics": ["loss", "val_accuracy"]}

    def begin(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        self._assignment, self._epoch = spec, 0
        self._note("begin")
        if spec.get("exhausts"):
            raise MemoryError("no room for it")
        if spec.get("mistakes"):
            exec(compile("{}['ours']", assay.models.__file__, "exec"))
        if "raises" in spec:
            raise ValueError(spec["raises"])
        self._kept.append(b"x" * spec.get("grow_bytes", 0))  # written to, so that it is resident
        return {"parameters": spec.get("parameters", 26)}

    def epoch(self) -> dict[str, Any]:
        self._epoch += 1
        script, is_last = self._assignment, self._epoch == len(self._assignment["curve"])
        time.sleep(script.get("seconds", 0.0))
        while is_last and "awaits" in script and not Path(script["awaits"]).exists():
            time.sleep(0.01)
        if self._epoch == 2 and "signal" in script:
            os.kill(os.getpid(), getattr(signal, script["signal"]))
        value = script["curve"][self._epoch - 1]
        self._note("epoch")
        return {
            "metrics": {"loss": 1 - value, script.get("metric", "val_accuracy"): value},
            "seconds": 0.001,
            **(script.get("stops", {}) if is_last else {}),
        }

    def finish(self, save_as: str | None) -> dict[str, Any]:
        if save_as is not None:
            path = Path(save_as)
            partial = path.with_name(f".{path.stem}-{os.getpid()}.keras")  # like the real trainer
            partial.write_text(f"model of {self._assignment['name']}")
            time.sleep(self._assignment.get("save_seconds", 0.0))
            partial.replace(path)
        self._note("finish")
        if "unsaved" in self._assignment:
            return {"peak_memory_bytes": 1000, "unsaved": self._assignment["unsaved"]}
        return {
            "peak_memory_bytes": 1000,
            "train_seconds": 0.002,
            "epoch_seconds": 0.001,
            "pid": os.getpid(),
        }

    def drop(self) -> None:
        self._note("drop")

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any] | Exception]:
        """Run one script per lane; an exception affects only its lane."""
        answers: list[Mapping[str, Any] | Exception] = []
        for call in calls:
            trainer = self._lanes.setdefault(call["lane"], StubTrainer(self._threads))
            try:
                answers.append(getattr(trainer, call["method"])(**call["arguments"]) or {})
            except Exception as error:
                answers.append(error)
        return answers

    def _note(self, what: str) -> None:
        if "log" in self._assignment:
            with Path(self._assignment["log"]).open("a") as log:
                log.write(f"{what} {self._assignment['name']} {os.getpid()}\n")


class QuickTrainer(StubTrainer):
    """Trains any trial of a real sweep, with metrics derived from the trial's seed.

    Its accuracies are shares of the validation images.
    """

    def __init__(self, threads: int, **others: Any) -> None:
        super().__init__(threads)

    def device(self) -> dict[str, Any]:
        return {"device": "cpu"}

    def begin(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        epochs = range(1, spec["train"]["epochs"] + 1)
        meta = json.loads((Path(spec["data"]["folder"]) / "meta.json").read_text())
        images = meta["validation_images"]
        curve = [round(images * _accuracy(spec["seed"], epoch)) / images for epoch in epochs]
        return super().begin({**spec, "name": spec["seed"], "curve": curve})

    def epoch(self) -> dict[str, Any]:
        reply = super().epoch()
        value = reply["metrics"]["val_accuracy"]
        reply["metrics"] |= {"accuracy": value, "val_loss": 1 - value}
        return reply


class StoppingTrainer(QuickTrainer):
    """Stops each trial before its last epoch, and keeps its second epoch."""

    kept_epoch = 2

    def begin(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        reply = super().begin(spec)
        del self._assignment["curve"][-1]
        return reply

    def epoch(self) -> dict[str, Any]:
        reply = super().epoch()
        if self._epoch == self.kept_epoch:
            self._restored = {"epoch": self._epoch, "metrics": dict(reply["metrics"])}
        if self._epoch == len(self._assignment["curve"]):
            reply |= {"restored": self._restored, "stopped": True}
        return reply


class ShiftedTrainer(QuickTrainer):
    """Measures a loss that is off by the variable SHIFT."""

    def epoch(self) -> dict[str, Any]:
        reply = super().epoch()
        reply["metrics"]["loss"] += float(os.environ["SHIFT"])
        return reply


class CodeTrainer(QuickTrainer):
    """Reports the file nets.py beside the experiment as the user's code."""

    def check(self, spec: Mapping[str, Any], *args: Any, **options: Any) -> dict[str, Any]:
        text = (Path(spec["folders"][0]) / "nets.py").read_text()
        digest = hashlib.sha256(text.encode()).hexdigest()
        files = [{"name": "nets.py", "digest": digest, "text": text}]
        return {**super().check(spec), "code": {"nets.py": digest}, "files": files}


class ForgetfulTrainer(QuickTrainer):
    """Cannot save the models of some trials, as of a subclass of Model without get_config.

    The variable FORGETS says which: "none", "odd" ones by their seeds, or "every" one.
    """

    def finish(self, save_as: str | None) -> dict[str, Any]:
        forgotten = {"none": (), "odd": (1,), "every": (0, 1)}[os.environ["FORGETS"]]
        if save_as is None or self._assignment["seed"] % 2 not in forgotten:
            return super().finish(save_as)
        return {**super().finish(None), "unsaved": "nets.py, line 3: it has\nno get_config"}


class FinalistTrainer(QuickTrainer):
    """Trains networks that are right as often as a variable says, and tests them.

    Variables:
        QUALITIES: JSON: how often a network is right, by its hidden units; 0.9 for others. null:
            its training diverges. The same for all seeds if the number is negative: each network
            then gives the same predictions.
        DIES: a file. The process kills itself in its first test, unless the file exists.
        UNSAVED: why its networks can't be saved.
        STORE: MLflow's database. A test fails unless it says that the test set is opened.
    """

    def begin(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        reply = super().begin(spec)
        qualities = json.loads(os.environ.get("QUALITIES", "{}"))
        quality = qualities.get(str(spec["model"]["hidden_units"]), 0.9)
        self._quality = math.nan if quality is None else quality
        jitter = _accuracy(spec["seed"], 0) / 1000
        value = abs(self._quality) + jitter
        self._assignment = {**self._assignment, "curve": [value] * spec["train"]["epochs"]}
        return reply

    def test(
        self, spec: Mapping[str, Any], opening: Mapping[str, Any], save_as: str
    ) -> dict[str, Any]:
        dies = Path(os.environ.get("DIES", os.devnull))
        if not dies.exists():
            dies.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if "STORE" in os.environ:
            with sqlite3.connect(os.environ["STORE"]) as store:
                tags = "SELECT COUNT(*) FROM tags WHERE key LIKE 'assay.test_set.opening.%'"
                ((opened,),) = store.execute(tags)
            assert opened > 0, "the test set is read before its opening is recorded"
        self.begin(spec)
        seed = 0 if self._quality < 0 else spec["seed"]
        targets = np.arange(200, dtype=np.int32) % 10
        is_right = np.random.default_rng(seed).random(200) < abs(self._quality)
        predictions = np.where(is_right, targets, (targets + 1) % 10).astype(np.int32)
        np.savez_compressed(save_as, predictions=predictions, targets=targets)
        return {"metrics": {"test_accuracy": float(is_right.mean()), "test_loss": 0.5}}

    def save(self, spec: Mapping[str, Any], save_as: str) -> dict[str, Any]:
        if "UNSAVED" in os.environ:
            return {"unsaved": os.environ["UNSAVED"]}
        Path(save_as).write_text(f"model of seed {spec['seed']}")
        return {}


def _accuracy(seed: int, epoch: int) -> float:
    return int(hashlib.sha256(f"{seed}/{epoch}".encode()).hexdigest()[:8], 16) / 2**32
