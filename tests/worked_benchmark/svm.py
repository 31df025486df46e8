"""A support vector machine on Nystroem features, measured like a finalist.

The reference for learned features: a kernel's features are fixed, and only the linear classifier on
top of them is trained. Nystroem's method approximates the kernel from a sample of training images
(Williams and Seeger, 2001).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.models.data import (
    RecordedOpening,
    TestSet,
    TrainingData,
    load_training_data,
    open_test_set,
)
from assay.models.files import open_regular, replace_file
from assay.search.events import TestSetOpened
from assay.search.journal import Journal

NAME = "Nystroem SVM"
GAMMAS = (0.005, 0.01, 0.02, 0.04)
"""Of the kernel exp(-gamma |x - y|^2), for pixels in [0, 1]: validation chooses one."""

CS = (1.0, 10.0)
"""Inverse strengths of the classifier's regularization: validation chooses one."""

SEED_OF_CHOICE = 0


@dataclass(frozen=True)
class Setting:
    """What a support vector machine is trained with.

    Attributes:
        components: number of Nystroem features.
        gamma: coefficient of the kernel.
        c: `C` of scikit-learn's `LinearSVC`.
    """

    components: int
    gamma: float
    c: float


@dataclass(frozen=True)
class MeasuredSVMs:
    """Support vector machines with one setting, one for each seed.

    Attributes:
        setting: what validation chose.
        tried: number of settings that it chose from.
        validation: share of right answers on the validation images (seeds,).
        scores: 1 where one is right on a test image, else 0 (seeds, images).
        targets: labels of the test images.
        seconds: median time of one training.
    """

    setting: Setting
    tried: int
    validation: NDArray[np.float64]
    scores: NDArray[np.float64]
    targets: NDArray[np.int32]
    seconds: float


class _NystroemSVM:
    """A support vector machine that was trained."""

    def __init__(self, data: TrainingData, images: int | None, setting: Setting, seed: int) -> None:
        from sklearn.kernel_approximation import Nystroem
        from sklearn.svm import LinearSVC

        began = time.monotonic()
        self._features = Nystroem(
            gamma=setting.gamma, n_components=setting.components, random_state=seed
        )
        x = self._features.fit_transform(_to_rows(data.scale.apply(data.x_train[:images])))
        # The primal problem: there are far more images than features.
        self._classifier = LinearSVC(C=setting.c, dual=False, tol=1e-3)
        self._classifier.fit(x, data.y_train[:images])
        self.seconds = time.monotonic() - began

    def is_right(self, x: NDArray[np.float32], y: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return whether each image (n, ...) gets its label."""
        right: NDArray[np.bool_] = (
            self._classifier.predict(self._features.transform(_to_rows(x))) == y
        )
        return right


def measure_svms(
    folder: Path, journal: Path, seeds: int, components: int, images: int | None
) -> MeasuredSVMs:
    """Choose a setting on validation, train it on several seeds, and measure these on the test set.

    Args:
        folder: the prepared data set.
        journal: where the opening of the test set is recorded.
        seeds: number of support vector machines.
        components: number of Nystroem features.
        images: number of training images at most; None for all.
    """
    data = load_training_data(folder, "unit")
    x, y = data.scale.apply(data.x_validation), np.asarray(data.y_validation)
    settings = [Setting(components, gamma, c) for gamma in GAMMAS for c in CS]
    shares = []
    for setting in settings:
        right = _NystroemSVM(data, images, setting, SEED_OF_CHOICE).is_right(x, y)
        shares.append(float(right.mean()))
        print(f"{NAME}: {setting}: {shares[-1]:.4f} on validation", flush=True)
    chosen = settings[int(np.argmax(shares))]
    # The seed of the choice is not among them: its score was chosen.
    svms = [_NystroemSVM(data, images, chosen, seed) for seed in range(1, seeds + 1)]
    validation = [svm.is_right(x, y).mean() for svm in svms]
    test = _open_test_set(folder, journal)
    scores = [svm.is_right(test.scale.apply(test.x), np.asarray(test.y)) for svm in svms]
    return MeasuredSVMs(
        setting=chosen,
        tried=len(settings),
        validation=np.array(validation, np.float64),
        scores=np.array(scores, np.float64),
        targets=np.asarray(test.y, np.int32),
        seconds=float(np.median([svm.seconds for svm in svms])),
    )


def _open_test_set(folder: Path, journal: Path) -> TestSet:
    with Journal(journal) as file:
        file.append(TestSetOpened(opening=1, leader=0, trials=(0,)))
    return open_test_set(folder, RecordedOpening(str(journal), 1), "unit")


def save_measured(measured: MeasuredSVMs, path: Path) -> None:
    """Save what was measured, so that an interrupted benchmark need not measure it again."""
    setting = measured.setting
    with replace_file(path) as file:
        np.savez_compressed(
            file,
            setting=np.array([setting.components, setting.gamma, setting.c]),
            tried=measured.tried,
            validation=measured.validation,
            scores=measured.scores.astype(np.uint8),
            targets=measured.targets,
            seconds=measured.seconds,
        )


def load_measured(path: Path) -> MeasuredSVMs:
    """Load what `save_measured` saved."""
    with open_regular(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        components, gamma, c = arrays["setting"].tolist()
        return MeasuredSVMs(
            setting=Setting(int(components), gamma, c),
            tried=int(arrays["tried"]),
            validation=arrays["validation"],
            scores=arrays["scores"].astype(np.float64),
            targets=arrays["targets"],
            seconds=float(arrays["seconds"]),
        )


def _to_rows(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return x.reshape(len(x), -1)
