"""The order of known configurations: the longest first.

A long trial that begins last keeps one worker busy while the others have nothing left to do. The
longest-first schedule takes at most 4/3 - 1/(3 workers) of the shortest possible time (Graham,
'Bounds on multiprocessing timing anomalies', 1969).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.experiments.config.experiment import Experiment
from assay.search.space import Configuration

_MACS_PER_STEP = 3_000_000
"""Cost of a training step however small its batch, in MACs of a forward pass.

Epochs of 50,000 images on one core of a cloud machine, 784-h-10 networks: 0.9 s with 512 units and
batches of 512 is 4.4e-11 s per MAC, forward and backward; 0.26 s with 32 units and batches of 32
leaves 1.3e-4 s per step.
"""


@dataclass(frozen=True)
class Inputs:
    """What one example looks like.

    Attributes:
        input_shape: such as (28, 28, 1).
        outputs: number of outputs of a network.
    """

    input_shape: tuple[int, ...]
    outputs: int


def longest_first(
    configurations: Sequence[Configuration],
    experiment: Experiment,
    inputs: Inputs | None,
    workers: int,
) -> list[Configuration]:
    """Return configurations by length, the longest first; equal ones keep their order.

    With one worker, or if a length is unknown, the order is unchanged: a user's own factory may
    build any network. Hyperparameters that are left to the sampler count with their defaults.
    """
    if workers == 1 or inputs is None:
        return list(configurations)
    lengths = [_length(configuration, experiment, inputs) for configuration in configurations]
    known = [length for length in lengths if length is not None]
    if len(known) < len(lengths):
        return list(configurations)
    order = sorted(range(len(known)), key=lambda index: -known[index])
    return [configurations[index] for index in order]


def _length(configuration: Configuration, experiment: Experiment, inputs: Inputs) -> float | None:
    """Return a trial's MACs per training example; None if unknown."""
    if experiment.family.macs is None:
        return None
    model, train = experiment.build_settings(configuration)
    macs = experiment.family.macs(model, inputs.input_shape, inputs.outputs)
    return train.epochs * (macs + _MACS_PER_STEP / train.batch_size)
