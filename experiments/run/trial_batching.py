"""Trial batches: how many trials of a study a worker trains together (`--fuse`).

Results must not depend, beyond the last digits of float32, on timing or on how many trials happen
to share a program. So all trials of a study that may be batched see their training examples in one
order, which is derived from the study's seed; batch size and order are kept with the study.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assay.experiments.config.experiment import Experiment
from assay.experiments.config.request import FuseOption, SweepRequest
from assay.experiments.run.execution import Execution
from assay.models.errors import RequestError
from assay.models.precision import SCALED
from assay.models.worker.trial_spec import NOT_COMPILED
from assay.search.space.grid import count_grid_values

_MOST_TRIALS: Mapping[str, int] = {"cpu": 8, "gpu": 128}
"""Batch sizes beyond which little is gained: a CPU computes all the time, a GPU is busy."""

_FEEDBACK_ROUNDS = 4
"""Minimum number of batches for samplers that learn from results."""

_SAMPLERS_WITHOUT_FEEDBACK = ("random", "grid", "qmc")

_MAY_DIFFER = {*NOT_COMPILED, "weight_decay"} - {"flip"}
"""Settings that the trials of a batch may differ in. Their training examples must be the same."""

_SHARED_COSTS = ("epoch_seconds", "train_seconds", "peak_memory_bytes")
"""Costs that the trials of a batch have in common."""


@dataclass(frozen=True)
class TrialBatching:
    """How the trials of a study are trained together.

    Attributes:
        size: largest number of trials that a worker trains together.
        order_seed: seed of the order of training examples, the same for all trials.
    """

    size: int
    order_seed: int

    def to_record(self) -> dict[str, int]:
        """Return it as the study's fingerprint has it."""
        return {"fuse": self.size, "order_seed": self.order_seed}


def check_fuse_option(
    fuse: FuseOption, experiment: Experiment, precision: str, checkpoint: bool
) -> None:
    """Check that trials can be trained together, if a number of them was given.

    Raises:
        RequestError: they can't, or an objective would not be measured for each of them.
    """
    obstacle = _obstacle(experiment, precision, checkpoint)
    if fuse not in ("auto", 0) and obstacle is not None:
        raise RequestError(f"fuse: {obstacle}; received fuse = {fuse}: leave it out.")


def choose_batching(
    execution: Execution,
    experiment: Experiment,
    request: SweepRequest,
    fingerprint: Mapping[str, Any] | None,
) -> TrialBatching | None:
    """Return how a study's trials are trained together; None if each trains by itself.

    Args:
        execution: what trials train on, with the `--fuse` option.
        experiment: what is searched.
        request: the seed of a new study, and whether trials are saved after each epoch.
        fingerprint: of the study if it exists: what it was created with stays.
    """
    created = None
    if fingerprint is not None and "fuse" in fingerprint:
        created = TrialBatching(fingerprint["fuse"], fingerprint["order_seed"])
    size = execution.fuse
    if size == "auto":
        if fingerprint is not None:
            return created
        obstacle = _obstacle(experiment, execution.precision, request.checkpoint)
        size = 0 if obstacle is not None else _automatic_size(experiment, execution)
    if size == 0:
        return None
    return TrialBatching(size, (request.seed or 0) if created is None else created.order_seed)


def _obstacle(experiment: Experiment, precision: str, checkpoint: bool) -> str | None:
    """Return why trials of an experiment can't be trained together; None if they can."""
    metrics = (objective.metric for objective in experiment.search.goals.each)
    if cost := next((metric for metric in metrics if metric in _SHARED_COSTS), None):
        return f"trials that train together share their costs, so {cost} can be no objective"
    if experiment.family.factory is not None:
        return "models of your own factory train one at a time"
    is_searched = "early_stopping" in experiment.space
    if is_searched or experiment.fixed_hyperparameters().get("early_stopping") is not None:
        return "with early stopping trials train one at a time"
    if checkpoint:
        return "with checkpoints trials train one at a time"
    return f"with {SCALED} trials train one at a time" if precision == SCALED else None


def _automatic_size(experiment: Experiment, execution: Execution) -> int:
    """Return the batch size for `--fuse auto`; 0 for one trial at a time.

    As many trials as suit the device, if each can expect another with its compile key; fewer with a
    sampler that learns from trials, so that it sees results in time. Whether a batch is faster than
    single trials, workers measure.
    """
    trials, workers = experiment.search.trials, execution.workers
    size = min(_MOST_TRIALS["gpu" if execution.gpus else "cpu"], -(-trials // workers))
    if experiment.search.sampler not in _SAMPLERS_WITHOUT_FEEDBACK:
        size = min(size, trials // (_FEEDBACK_ROUNDS * workers))
    return size if size - 1 >= _count_compile_keys(experiment) else 0


def _count_compile_keys(experiment: Experiment) -> float:
    """Return how many compile keys the space has at most; infinity for a continuous range."""
    compiled = {
        name: parameter for name, parameter in experiment.space.items() if name not in _MAY_DIFFER
    }
    try:
        return math.prod(count_grid_values(name, parameter) for name, parameter in compiled.items())
    except RequestError:
        return math.inf
