"""What makes a study this one: what its trials share, so that they can be compared."""

from __future__ import annotations

from typing import Any

from experiments.data.preparation import PreparedData
from experiments.execution import Execution
from experiments.experiment import Experiment
from experiments.fusing import Fusing


def identity(
    experiment: Experiment, data: PreparedData, execution: Execution, fusing: Fusing | None = None
) -> dict[str, Any]:
    """Return what all trials of a study must share to be comparable, as plain values."""
    return {
        "task": experiment.task,
        "data": {"name": data.name, "digest": data.digest, "scale": experiment.data.scale},
        "split": {
            "validation": data.validation_images,
            "train": data.train_images,
            "seed": experiment.data.split_seed,
        },
        "family": experiment.family.name,
        **({} if experiment.family.own is None else {"code": experiment.family.own.digest()}),
        "fixed": experiment.fixed(),
        "space": experiment.space.to_records(),
        "objectives": experiment.search.objectives,
        "backend": execution.backend,
        "precision": execution.precision,
        **({} if fusing is None else fusing.to_identity()),
    }
