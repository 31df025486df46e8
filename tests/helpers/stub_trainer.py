"""A trainer that takes milliseconds and does what its assignment says: for tests of everything around training."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import assay.models
from assay.models.errors import RequestError


def preload() -> None:
    """Import nothing."""


def failing_preload() -> None:
    raise RuntimeError("the backend is broken")


class StubTrainer:
    """Follows a script.

    An assignment may hold `curve` (the objective by epoch), `metric` (what that is called), `raises`, `refuses` (what
    `check` does), `exhausts` (memory runs out as it begins), `mistakes` (our own code fails as it begins), `signal`
    (the process sends it to itself in the second epoch), `seconds` (an epoch's length), `save_seconds`, `unsaved`,
    `grow_bytes`, `parameters`, `stops` (what its last epoch's reply has beside the metrics), and `log`, a file that
    takes a line whenever a trial begins, finishes or is dropped.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._kept: list[bytes] = []
        self._lanes: dict[int, StubTrainer] = {}

    def device(self) -> dict[str, Any]:
        return {"device": "gpu: a stub"}

    def check(self, spec: Mapping[str, Any]) -> dict[str, Any]:
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
        time.sleep(self._assignment.get("seconds", 0.0))
        if self._epoch == 2 and "signal" in self._assignment:
            os.kill(os.getpid(), getattr(signal, self._assignment["signal"]))
        value = self._assignment["curve"][self._epoch - 1]
        ended = (
            self._assignment.get("stops", {})
            if self._epoch == len(self._assignment["curve"])
            else {}
        )
        return {
            "metrics": {"loss": 1 - value, self._assignment.get("metric", "val_accuracy"): value},
            "seconds": 0.001,
            **ended,
        }

    def finish(self, save_as: str | None) -> dict[str, Any]:
        if save_as is not None:
            path = Path(save_as)
            partial = path.with_name(
                f".{path.stem}-{os.getpid()}.keras"
            )  # as the real trainer does it
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
        """Follow a script a lane; what one raises concerns no other."""
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
