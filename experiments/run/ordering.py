"""Known trials in the order that has all workers end together: the longest first.

A long trial that is begun last keeps one worker busy while the others have nothing left to do.
Longest first is never more than 4/3 - 1/(3 workers) of the shortest possible (Graham, 'Bounds on
multiprocessing timing anomalies', 1969).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.experiments.config.experiment import Experiment
from assay.search.space import Configuration

_STEP_MULTIPLICATIONS = 3_000_000
"""What a step costs however small its batch, in multiplications of an example's way forward.

Epochs of 50,000 images on one core of a cloud machine, 784-h-10 networks: 0.9 s with 512 units in
batches of 512 makes 4.4e-11 s a multiplication, there and back; 0.26 s with 32 units in batches of
32 leaves 1.3e-4 s a step.
"""


@dataclass(frozen=True)
class Inputs:
    """What one example looks like: the shape of its input, and how many numbers a network gives for
    it.
    """

    input_shape: tuple[int, ...]
    outputs: int


def longest_first(
    configurations: Sequence[Configuration],
    experiment: Experiment,
    inputs: Inputs | None,
    workers: int,
) -> list[Configuration]:
    """Return configurations in the order they should be begun in; those of equal length stay as
    they were.

    As they were stay all, if one worker trains them or if the length of any can't be told: a
    network of a user's own may be anything. What a configuration leaves to the sampler counts with
    its default.
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
    """Return how long a trial takes at most, in multiplications an image; all of them see the same
    images.
    """
    if experiment.family.macs is None:
        return None
    model, train = experiment.settings(configuration)
    work = experiment.family.macs(model, inputs.input_shape, inputs.outputs)
    return train.epochs * (work + _STEP_MULTIPLICATIONS / train.batch_size)
