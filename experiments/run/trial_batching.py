"""How many trials of a study a worker trains together, and what batches they then share.

Results must not depend, beyond the last digits of float32, on timing nor on how many happen to be
trained together: all trials of a study that may be fused see their batches in an order that follows
from the study's seed, and both are kept with the study.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assay.experiments.config.experiment import Experiment
from assay.experiments.config.request import FuseOption
from assay.models.errors import RequestError
from assay.models.precision import SCALED
from assay.models.worker.trial_spec import NOT_COMPILED
from assay.search.space.grid import values

_MOST: Mapping[str, int] = {"cpu": 8, "gpu": 128}
"""Trials together beyond which little is gained: a processor computes, a card is busy."""
_LEARNING_ROUNDS = 4
"""How many times a sampler that learns from trials shall have heard of some before it proposes the
last.
"""
_NOT_LEARNING = ("random", "grid", "qmc")
_MAY_DIFFER = {*NOT_COMPILED, "weight_decay"} - {"flip"}
"""Settings that trials which train together may differ in: what they are shown must be the same."""
_SHARED_COSTS = ("epoch_seconds", "train_seconds", "peak_memory_bytes")
"""Costs that a trial has in common with those beside it."""


@dataclass(frozen=True)
class TrialBatching:
    """How trials are trained together.

    Attributes:
        size: the most that a worker trains together.
        order_seed: where the order of all trials' batches follows from.
    """

    size: int
    order_seed: int

    def to_record(self) -> dict[str, int]:
        """Return it as a study keeps it."""
        return {"fuse": self.size, "order_seed": self.order_seed}


def check_fuse(
    fuse: FuseOption, experiment: Experiment, precision: str, checkpoint: bool = False
) -> None:
    """See that trials can be trained together, if so many were asked for by number.

    Raises:
        RequestError: they can't, or not and be measured.
    """
    obstacle = _obstacle(experiment, precision, checkpoint)
    if fuse not in ("auto", 0) and obstacle is not None:
        raise RequestError(f"fuse: {obstacle}; received fuse = {fuse}: leave it out.")


def _obstacle(experiment: Experiment, precision: str, checkpoint: bool) -> str | None:
    """Return what keeps all trials of an experiment from being trained together; None if nothing
    does.
    """
    costs = [one.metric for one in experiment.search.goals.each if one.metric in _SHARED_COSTS]
    if costs:
        return f"trials that train together share what they cost, so {costs[0]} can be no objective"
    if experiment.family.factory is not None:
        return "networks of your own train one at a time"
    if "early_stopping" in experiment.space or experiment.fixed().get("early_stopping") is not None:
        return "with early stopping trials train one at a time"
    if checkpoint:
        return "with checkpoints trials train one at a time"
    return f"with {SCALED} trials train one at a time" if precision == SCALED else None


def choose(
    fuse: FuseOption,
    known: Mapping[str, Any] | None,
    experiment: Experiment,
    device: str,
    workers: int,
    seed: int,
    precision: str = "float32",
    checkpoint: bool = False,
) -> TrialBatching | None:
    """Return how a study's trials are trained together; None if each has batches of its own.

    Args:
        fuse: what is asked for.
        known: the identity of the study, if there is one already: what it was made with stays.
        experiment: what is searched.
        device: "cpu" or "gpu".
        workers: how many there are.
        seed: the study's, if it is new.
        precision: of `assay.models.precision.PRECISIONS`.
        checkpoint: whether every trial is kept after each epoch.
    """
    made = (
        None
        if known is None or "fuse" not in known
        else TrialBatching(known["fuse"], known["order_seed"])
    )
    if fuse == "auto" and known is not None:
        return made
    if fuse == "auto":
        obstacle = _obstacle(experiment, precision, checkpoint)
        fuse = _automatic(experiment, device, workers) if obstacle is None else 0
    return TrialBatching(fuse, seed if made is None else made.order_seed) if fuse > 0 else None


def _automatic(experiment: Experiment, device: str, workers: int) -> int:
    """Return how many trials to train together where nothing was said; 0 for none.

    As many as suit the device, if each may expect to find another of its compile_key beside it;
    with a sampler that learns from trials so few that it hears of some in time. Whether they train
    faster together, workers find out.
    """
    trials = experiment.search.trials
    size = min(_MOST[device], -(-trials // workers))
    if experiment.search.sampler not in _NOT_LEARNING:
        size = min(size, trials // (_LEARNING_ROUNDS * workers))
    return size if size - 1 >= _compile_keys(experiment) else 0


def _compile_keys(experiment: Experiment) -> float:
    """Return how many compile keys the space has at most; infinity where there is no end."""
    searched = {
        name: parameter for name, parameter in experiment.space.items() if name not in _MAY_DIFFER
    }
    try:
        return math.prod(len(values(name, parameter)) for name, parameter in searched.items())
    except RequestError:
        return math.inf
