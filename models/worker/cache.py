"""Data that stay where training reads them, from one trial to the next."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from assay.models.backends.base import Backend
from assay.models.backends.keras_fit import FallbackDataset
from assay.models.data import TrainingData, load
from assay.models.errors import RequestError
from assay.models.training.checkpoint import state_of
from assay.models.training.epoch import TrainEpoch
from assay.models.worker.trial_spec import DataSpec, TrialSpec

if TYPE_CHECKING:
    import keras


# What was compiled for one trial, kept for later ones of the same compile_key.
#
# To trace and optimize an epoch takes TensorFlow 0.3 s for a small perceptron, as long as one of
# its epochs on MNIST may take; and every graph that is made leaves something behind in the process,
# so fewer of them also let a worker live longer.


_MOST_PROGRAMS = 64
_MOST_NUMBERS = 64 << 20


@dataclass(frozen=True)
class Program:
    """A model with what trains it for an epoch; `compile_key` says for what other trials too, None
    for no other.
    """

    model: keras.Model
    train_epoch: TrainEpoch
    compile_key: str | None = None

    @property
    def numbers(self) -> int:
        """Return how many numbers the variables hold, of 4 bytes each as a rule."""
        return sum(prod(variable.shape) for variable in state_of(self.model))


class Programs:
    """Programs that no trial is using: the latest 64, and of these what is within 64 Mi numbers
    (256 MiB) together.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Program] = OrderedDict()

    def take(self, compile_key: str, model: keras.Model) -> Program | None:
        """Lend the program of this compile_key, its variables now those of the model; None if there
        is none.

        Args:
            compile_key: see `assay.models.worker.trial_spec`.
            model: of this compile_key, compiled and not yet trained; not to be used any more if a
                program is returned.
        """
        program = self._kept.pop(compile_key, None)
        if program is None:
            return None
        model.optimizer.build(model.trainable_variables)
        for ours, theirs in zip(state_of(program.model), state_of(model), strict=True):
            ours.assign(theirs)
        return program

    def give_back(self, program: Program) -> None:
        """Keep a program for later trials, if it can train any."""
        if program.compile_key is None:
            return
        self._kept[program.compile_key] = program
        while len(self._kept) > _MOST_PROGRAMS or self._numbers() > _MOST_NUMBERS:
            self._kept.popitem(last=False)

    def _numbers(self) -> int:
        return sum(program.numbers for program in self._kept.values())


class DatasetCache:
    """Keeps what the last trial was trained on resident.

    Args:
        backend: on which.

    Attributes:
        programs: what was compiled for these data.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.programs = Programs()
        self._held: tuple[DataSpec, str, FallbackDataset] | None = None

    def resident(self, spec: TrialSpec) -> FallbackDataset:
        """Return the data where the backend reads it, kept from the last trial if that trained on
        the same.

        Raises:
            RequestError: the data can't be read, or are for another task.
        """
        choice, data = spec.data, load_for(spec)
        if self._held is None or self._held[:2] != (choice, data.digest):
            # First let go of the old, lest both be in memory; what was compiled reads them.
            self._held, self.programs = None, Programs()
            self._held = (choice, data.digest, FallbackDataset(self.backend.load(data), data))
        return self._held[2]


def load_for(spec: TrialSpec) -> TrainingData:
    """Open an assignment's data.

    Raises:
        RequestError: they can't be read, or are for another task.
    """
    data = load(Path(spec.data.folder), spec.data.scale)
    if data.task != spec.task:
        raise RequestError(
            f"the data must be prepared for the trial's task: received {spec.task} on {data.name}, prepared for "
            f"{data.task}; change the task or have the data prepared again."
        )
    return data
