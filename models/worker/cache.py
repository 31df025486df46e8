"""Caches of a worker: data set and compiled epochs."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from assay.models.backends import Backend
from assay.models.backends.keras_fit import FallbackDataset
from assay.models.data import TrainingData, load_training_data
from assay.models.errors import RequestError
from assay.models.training.checkpoint import training_variables
from assay.models.training.epoch import TrainEpoch
from assay.models.worker.trial_spec import DataSpec, TrialSpec

if TYPE_CHECKING:
    import keras

_MOST_PROGRAMS = 64
_MOST_VALUES = 64 << 20  # of 4 bytes each as a rule: 256 MiB


@dataclass(frozen=True)
class Program:
    """A model with its compiled epoch.

    Attributes:
        model: compiled.
        train_epoch: trains it for one epoch.
        compile_key: key of the trials that it can train; None if it can train no other trial.
    """

    model: keras.Model
    train_epoch: TrainEpoch
    compile_key: str | None = None

    @property
    def variable_values(self) -> int:
        """Number of values in all variables."""
        return sum(prod(variable.shape) for variable in training_variables(self.model))


# Tracing and optimizing an epoch takes TensorFlow 0.3 s for a small perceptron, as long as an epoch
# on MNIST may take. Every graph also leaves memory behind, so a worker lives longer with fewer.
class ProgramCache:
    """Programs that no trial uses.

    It keeps the 64 that were used last, and fewer if their variables have more than 64 Mi values.
    """

    def __init__(self) -> None:
        self._programs: OrderedDict[str, Program] = OrderedDict()

    def acquire(self, compile_key: str, model: keras.Model) -> Program | None:
        """Take a program for a new trial.

        Its variables get the values of the new trial's model.

        Args:
            compile_key: see `trial_spec.compile_key`.
            model: compiled and not yet trained; must not be used any more if a program is returned.

        Returns:
            The program, which `release` gives back; None if there is none with this key.
        """
        program = self._programs.pop(compile_key, None)
        if program is None:
            return None
        # The program's optimizer has all its variables, so the new one needs them too.
        model.optimizer.build(model.trainable_variables)
        for target, source in zip(
            training_variables(program.model), training_variables(model), strict=True
        ):
            target.assign(source)
        return program

    def release(self, program: Program) -> None:
        """Keep a program for later trials."""
        if program.compile_key is None:
            return
        self._programs[program.compile_key] = program
        while len(self._programs) > _MOST_PROGRAMS or self._count_values() > _MOST_VALUES:
            self._programs.popitem(last=False)

    def _count_values(self) -> int:
        return sum(program.variable_values for program in self._programs.values())


class DatasetCache:
    """The data set of the last trial, on the device.

    Args:
        backend: backend that reads the data.

    Attributes:
        programs: programs for the current data set.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.programs = ProgramCache()
        self._current: tuple[DataSpec, str, FallbackDataset] | None = None

    def get_dataset(self, spec: TrialSpec) -> FallbackDataset:
        """Return the data set of a trial, loaded if necessary.

        Raises:
            RequestError: the data cannot be read, or are for another task.
        """
        # Opening the files is cheap. The digest says whether the folder was prepared again.
        data = load_trial_data(spec)
        if self._current is None or self._current[:2] != (spec.data, data.digest):
            # The old data are freed first, so that both are never in memory. Programs read them.
            self._current, self.programs = None, ProgramCache()
            dataset = FallbackDataset(self.backend.load_dataset(data), data)
            self._current = (spec.data, data.digest, dataset)
        return self._current[2]


def load_trial_data(spec: TrialSpec) -> TrainingData:
    """Open the data of a trial.

    Raises:
        RequestError: the data cannot be read, or are for another task.
    """
    data = load_training_data(Path(spec.data.folder), spec.data.scale, spec.data.centred)
    if data.task != spec.task:
        raise RequestError(
            f"the data must be prepared for the task of the trial: received {spec.task} on "
            f"{data.name}, prepared for {data.task}; change the task or prepare the data again."
        )
    return data
