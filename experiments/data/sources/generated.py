"""Generated data sets: points of the plane, and functions of one number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from assay.experiments.data.arrays import SourceArrays
from assay.experiments.data.capacity import CapacityCheck, accept_any_size
from assay.experiments.data.sources.base import Source
from assay.experiments.data.sources.toy_sets import FUNCTIONS, POINTS, GeneratedSet
from assay.models.errors import RequestError

GENERATED_SETS: Mapping[str, GeneratedSet] = {**POINTS, **FUNCTIONS}
"""Every generated data set by name, in the order of `assay list datasets`."""

DEFAULT_SAMPLES = 1_000
"""Default number of training points, validation included."""

DEFAULT_SEED = 0

TEST_POINTS = 10_000
"""Number of test points, for any number of training points. An accuracy on them has a binomial
standard error of at most half a point.
"""


@dataclass(frozen=True)
class GeneratedSource(Source):
    """Training and test points, generated from independent random streams.

    Attributes:
        samples: number of training points, validation included.
        noise: standard deviation of the noise; None for the data set's own.
        seed: random seed of the points.
    """

    samples: int = DEFAULT_SAMPLES
    noise: float | None = None
    seed: int = DEFAULT_SEED

    unverified_reason: ClassVar[str] = "generated points have no published digest"

    @property
    def definition(self) -> GeneratedSet:
        """The entry in `GENERATED_SETS`."""
        return GENERATED_SETS[self.name]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels 0 and 1; empty for regression."""
        return self.definition.classes

    def cache_key(self) -> str:
        """Return what the points depend on."""
        # NumPy's version, because another one may generate other points from the same seed.
        noise = self._noise_or_default()
        return f"{self.name} {self.samples} {noise} {self.seed} numpy {np.__version__}"

    def count_training_examples(self) -> int:
        """Return the number of training points."""
        return self.samples

    def input_shape(self) -> tuple[int, ...]:
        """Return (2,) for points of the plane, (1,) for functions."""
        return (2,) if self.name in POINTS else (1,)

    def load(self, check_capacity: CapacityCheck = accept_any_size) -> SourceArrays:
        """Generate the points."""
        noise = self._noise_or_default()
        # Two streams, so that the test points stay the same for any number of training points.
        train_stream, test_stream = np.random.SeedSequence(self.seed).spawn(2)
        train_random = np.random.default_rng(train_stream)
        test_random = np.random.default_rng(test_stream)
        x_train, y_train = self.definition.draw(self.samples, noise, train_random)
        x_test, y_test = self.definition.draw(TEST_POINTS, noise, test_random)
        return SourceArrays(x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)

    def _noise_or_default(self) -> float:
        return self.definition.noise if self.noise is None else self.noise


def check_generated(name: str, samples: int | None, noise: float | None, seed: int | None) -> None:
    """Check the keys of [data] that a generated data set takes.

    Raises:
        RequestError: the training and test points would be the same.
    """
    if noise == 0 and GENERATED_SETS[name].needs_noise:
        raise RequestError(
            f"noise must be above 0 for {name}: without noise its points are evenly spaced, and "
            "test points are training points; received 0."
        )


def locate_generated(
    name: str,
    data_dir: Path,
    base: Path,
    samples: int | None,
    noise: float | None,
    seed: int | None,
) -> GeneratedSource:
    """Return the source of a generated data set.

    Args:
        name: a key of `GENERATED_SETS`.
        data_dir: not used.
        base: not used.
        samples: number of training points; None for `DEFAULT_SAMPLES`.
        noise: standard deviation of the noise; None for the data set's own.
        seed: random seed of the points; None for `DEFAULT_SEED`.
    """
    return GeneratedSource(
        name,
        samples=DEFAULT_SAMPLES if samples is None else samples,
        noise=noise,
        seed=DEFAULT_SEED if seed is None else seed,
    )
