"""Epochs of models that may do anything: those of users. What can't be one execution goes by Keras' own `fit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.backends.interface import Feeding, Resident, TrainEpoch
from models.backends.plain import PlainResident
from models.data import TrainingData
from models.exhaustion import is_out_of_memory

if TYPE_CHECKING:
    import keras

_STEPS = (
    "fit",
    "evaluate",
    "make_train_function",
    "make_test_function",
    "train_step",
    "test_step",
    "compute_metrics",
    "get_metrics_result",
)


class TolerantResident:
    """Data that serve the fast epochs of a backend, and plain ones where a model needs them.

    Args:
        fast: the backend's own.
        data: the same; scaled into memory when first a model needs it.
    """

    def __init__(self, fast: Resident, data: TrainingData) -> None:
        self.shape, self.any_batch = fast.shape, fast.any_batch
        self.fast = fast
        self.note: str | None = None
        self._data = data
        self._plain: PlainResident | None = None

    def epochs(self, model: keras.Model, feeding: Feeding) -> TrainEpoch:
        """Return what trains a compiled model for an epoch each time it is called; `note` says why, if it is slow."""
        self.note = None
        if isinstance(self.fast, PlainResident):
            return self.fast.epochs(model, feeding)
        reason = _why_plain(model)
        if reason is None:
            try:
                return self.fast.epochs(model, feeding)
            # Whatever it is: if it is wrong in a plain epoch too, it is raised there.
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                first_line = next(iter(str(error).strip().splitlines()), "")
                reason = f"it can't be traced as a whole ({type(error).__name__}: {first_line})"
        self.note = f"trained by Keras' plain fit, which takes longer: {reason}"
        if self._plain is None:
            self._plain = PlainResident(self._data)
        return self._plain.epochs(model, feeding)


def _why_plain(model: keras.Model) -> str | None:
    """Return why a model's epochs are more than its layers, loss and metrics applied to each batch; None if not."""
    if model.run_eagerly:
        return "it is compiled to run eagerly"
    for name in _STEPS:
        # Of a step that is not Keras' own, what it returns counts, and that is what `fit` shows.
        if not getattr(type(model), name).__module__.startswith("keras."):
            return f"it has a {name} of its own"
    return None
