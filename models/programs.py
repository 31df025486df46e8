"""What was compiled for one trial, kept for later ones of the same signature.

To trace and optimize an epoch takes TensorFlow 0.3 s for a small perceptron, as long as one of its epochs on MNIST may
take; and every graph that is made leaves something behind in the process, so fewer of them also let a worker live
longer.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import TYPE_CHECKING

from models.backends.interface import TrainEpoch

if TYPE_CHECKING:
    from collections.abc import Iterator

    import keras

_MOST_PROGRAMS = 64
_MOST_NUMBERS = 64 << 20


@dataclass(frozen=True)
class Program:
    """A model with what trains it for an epoch; `signature` says for what other trials too, None for no other."""

    model: keras.Model
    train_epoch: TrainEpoch
    signature: str | None = None

    @property
    def numbers(self) -> int:
        """Return how many numbers the variables hold, of 4 bytes each as a rule."""
        return sum(prod(variable.shape) for variable in state_of(self.model))


class Programs:
    """Programs that no trial is using: the latest 64, and of these what is within 64 Mi numbers (256 MiB) together."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Program] = OrderedDict()

    def take(self, signature: str, model: keras.Model) -> Program | None:
        """Lend the program of this signature, its variables now those of the model; None if there is none.

        Args:
            signature: see `models.signature`.
            model: of this signature, compiled and not yet trained; not to be used any more if a program is returned.
        """
        program = self._kept.pop(signature, None)
        if program is None:
            return None
        model.optimizer.build(model.trainable_variables)
        for ours, theirs in zip(state_of(program.model), state_of(model), strict=True):
            ours.assign(theirs)
        return program

    def give_back(self, program: Program) -> None:
        """Keep a program for later trials, if it can train any."""
        if program.signature is None:
            return
        self._kept[program.signature] = program
        while len(self._kept) > _MOST_PROGRAMS or self._numbers() > _MOST_NUMBERS:
            self._kept.popitem(last=False)

    def _numbers(self) -> int:
        return sum(program.numbers for program in self._kept.values())


def state_of(model: keras.Model) -> Iterator[keras.Variable]:
    """Yield every variable that a training starts from: weights, seeds, and what the optimizer keeps."""
    return chain(model.variables, model.optimizer.variables)
