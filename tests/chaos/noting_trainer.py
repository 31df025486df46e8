"""Real trainer that logs its actions to a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.models.worker.trainer import Trainer
from tests.chaos.trainer import note


class NotingTrainer(Trainer):
    """Trainer that logs the begin and the finish of each trial."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        note("worker", 0)

    def begin(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        self._seed = spec["seed"]
        note("begin", self._seed)
        return super().begin(spec)

    def finish(self, save_as: str | None) -> dict[str, Any]:
        costs = super().finish(save_as)
        note("finish", self._seed)
        return costs
