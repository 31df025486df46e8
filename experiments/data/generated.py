"""Data sets that are drawn on request: which there are, and how one becomes four arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from assay.experiments.data.arrays import SourceArrays
from assay.experiments.data.source import Source
from assay.experiments.data.toy_sets import FUNCTIONS, POINTS, GeneratedSet

GENERATED: Mapping[str, GeneratedSet] = {**POINTS, **FUNCTIONS}
"""Every set that is drawn, in the order to list them."""

DEFAULT_SAMPLES = 1_000
"""Training points, validation not yet split off."""

TEST_POINTS = 10_000
"""The same ones for however many training points, so that sets of different sizes are tested alike;
accuracies are
known to half a point (binomial standard error)."""

DEFAULT_SEED = 0


@dataclass(frozen=True)
class GeneratedSource(Source):
    """Points that are drawn, those for training and those for testing from independent streams.

    Attributes:
        samples: training points.
        noise: a standard deviation; the set's own where None.
        seed: decides which points.
    """

    samples: int = DEFAULT_SAMPLES
    noise: float | None = None
    seed: int = DEFAULT_SEED

    unverified: ClassVar[str] = "points that are drawn have no published digest"

    @property
    def what(self) -> GeneratedSet:
        """What is drawn."""
        return GENERATED[self.name]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names for the labels 0 and 1; empty for regression."""
        return self.what.classes

    def cache_key(self) -> str:
        """Return what decides the points; NumPy may draw others in another version."""
        return f"{self.name} {self.samples} {self._noise} {self.seed} numpy {np.__version__}"

    def count(self) -> int:
        """Return the number of training points."""
        return self.samples

    def load(self) -> SourceArrays:
        """Draw the points."""
        training, testing = (
            np.random.default_rng(stream) for stream in np.random.SeedSequence(self.seed).spawn(2)
        )
        x_train, y_train = self.what.draw(self.samples, self._noise, training)
        x_test, y_test = self.what.draw(TEST_POINTS, self._noise, testing)
        return SourceArrays(x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)

    @property
    def _noise(self) -> float:
        return self.what.noise if self.noise is None else self.noise
