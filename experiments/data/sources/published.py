"""Published data sets, and the digests of their arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

from assay.experiments.data.arrays import SourceArrays
from assay.experiments.data.capacity import CapacityCheck, accept_any_size
from assay.experiments.data.sources.base import Source, default_data_dir
from assay.experiments.data.sources.npz_file import NpzSource, read_npz_file

TEN_DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class PublishedSet:
    """What is known of a published data set before it is loaded.

    Attributes:
        summary: one line for a list of data sets.
        train_images: size of the published training set, validation included.
        test_images: size of the published test set.
        shape: shape of one image, (height, width, channels).
        classes: names of the labels 0, 1, 2, ...
        reference: who made it, and where it is described.
        url: the first file that `keras.datasets` downloads; "" if nothing is downloaded.
        keras_cache: path below Keras' data folder where Keras keeps what it downloaded from `url`.
        digests: SHA-256 of each published array's bytes in C order, where it is on record.
        altered_copies: what is known of copies that differ from the published arrays, by the
            SHA-256 of the array that differs.
        largest_pixel: largest value of a pixel as it is stored.
    """

    summary: str
    train_images: int
    test_images: int
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    reference: str
    url: str = ""
    keras_cache: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    altered_copies: Mapping[str, str] = field(default_factory=dict)
    largest_pixel: int = 255

    def explain_unverified(self, name: str, array_digests: Mapping[str, str]) -> str | None:
        """Return why arrays are not known to be the published ones; None if they are.

        Args:
            name: the data set's name, for the text.
            array_digests: SHA-256 of each array's bytes in C order, by the array's name.
        """
        reasons = [
            self.altered_copies[digest]
            for digest in array_digests.values()
            if digest in self.altered_copies
        ]
        # An array whose digest is not on record is neither verified nor known to differ.
        differing = [array for array in self.digests if array_digests[array] != self.digests[array]]
        if differing:
            reasons.append(f"{', '.join(differing)} differ from the published {name}")
        unrecorded = [
            array
            for array, digest in array_digests.items()
            if array not in self.digests and digest not in self.altered_copies
        ]
        if unrecorded:
            reasons.append(f"no digest of {name}'s original {', '.join(unrecorded)} is on record")
        return "; ".join(reasons) if reasons else None


# The digests are those of scikit-learn's images and labels as uint8, after the split that
# `load_digits_arrays` makes.
DIGITS = PublishedSet(
    summary="1,797 handwritten digits, 8 x 8 grey; comes with scikit-learn, no download",
    train_images=1437,
    test_images=360,
    shape=(8, 8, 1),
    classes=TEN_DIGITS,
    reference=(
        "UCI Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998), "
        "by sklearn.datasets.load_digits"
    ),
    digests={
        "x_train": "5760f944f9d4583320655eb3932bdbb8a1d7ecccece1d5e8ac73699a93fdf434",
        "y_train": "33fe81a53fa12d9cd119c74adab9b6b08a7d070ee62e736390c5cf89f00886b1",
        "x_test": "3cc232bd25364446c8646cd9434a26e35ea92e20045d395b2fdd2232a75c9b8f",
        "y_test": "70ee2850bb25b543ca4112717fd4396c3fb90bcb54d8015bd3f9c7c900966072",
    },
    largest_pixel=16,
)

# To check these digests, put each array's IDX header before its bytes: 0, 0, 8, the number of
# dimensions, then each dimension as four bytes, big-endian. The MD5s are then the published ones of
# the four unpacked files: train-images 6bbc9ace898e44ae57da46a324031adb, train-labels
# a25bea736e30d166cdddb491f175f624, t10k-images 2646ac647ad5339dbf082846283269ea, t10k-labels
# 27ae3e4e09519cfbb04c329615203637. A test does this.
MNIST = PublishedSet(
    summary="70,000 handwritten digits, 28 x 28 grey",
    train_images=60_000,
    test_images=10_000,
    shape=(28, 28, 1),
    classes=TEN_DIGITS,
    reference="LeCun, Cortes and Burges, 'The MNIST database of handwritten digits', 1998",
    url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    keras_cache="mnist.npz",
    digests={
        "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    },
)

FASHION_MNIST = PublishedSet(
    summary="70,000 pieces of clothing, 28 x 28 grey",
    train_images=60_000,
    test_images=10_000,
    shape=(28, 28, 1),
    classes=(
        *("t-shirt/top", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
    reference="Xiao, Rasul and Vollgraf, 'Fashion-MNIST', 2017, arXiv:1708.07747",
    url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/train-labels-idx1-ubyte.gz",
    keras_cache="fashion-mnist/train-labels-idx1-ubyte.gz",
)

CIFAR10 = PublishedSet(
    summary="60,000 small colour photographs in ten classes, 32 x 32",
    train_images=50_000,
    test_images=10_000,
    shape=(32, 32, 3),
    classes=(
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
    reference="Krizhevsky, 'Learning multiple layers of features from tiny images', 2009",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    keras_cache="cifar-10-batches-py-target_archive",
    # The digest of the original x_test is not on record, so no copy of it can be verified.
    digests={
        "x_train": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
        "y_train": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        "y_test": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
    },
    altered_copies={
        "201be40c8d17efdb7bdcbfae520dcc0f1ffb765592640a44cc3862bfdfaea8d7": (
            "x_test is a copy in which 8,983 of 10,000 images went through JPEG (mean absolute "
            "error 5.8 of 255): test results compare with published ones to within a point only"
        ),
    },
)

PUBLISHED_SETS: Mapping[str, PublishedSet] = {
    "digits": DIGITS,
    "mnist": MNIST,
    "fashion-mnist": FASHION_MNIST,
    "cifar10": CIFAR10,
}
"""Every published data set by name, in the order of `assay list datasets`."""

DIGITS_TEST_FRACTION = 0.2
DIGITS_TEST_SEED = 0
"""Never changed: another seed gives another test set."""


def load_digits_arrays() -> SourceArrays:
    """Split scikit-learn's digits into a training and a test set.

    Returns:
        1,437 training and 360 test images, a stratified fifth of all; x uint8 (n, 8, 8) from 0 to
        16, y uint8 (n,).
    """
    # Takes seconds to import, and only the process that prepares data needs it.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    x_train, x_test, y_train, y_test = train_test_split(
        digits.images.astype(np.uint8),
        digits.target.astype(np.uint8),
        test_size=DIGITS_TEST_FRACTION,
        stratify=digits.target,
        random_state=DIGITS_TEST_SEED,
    )
    return SourceArrays(x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


class _Published(Source):
    """What the sources of published data sets have in common."""

    is_published = True

    @property
    def published_set(self) -> PublishedSet:
        """What is known of the data set before it is loaded."""
        return PUBLISHED_SETS[self.name]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels 0, 1, 2, ..."""
        return self.published_set.classes

    @property
    def largest_pixel(self) -> int:
        """Largest possible value of a uint8 pixel."""
        return self.published_set.largest_pixel

    def input_shape(self) -> tuple[int, ...]:
        """Return the shape of one image, (height, width, channels)."""
        return self.published_set.shape

    def explain_unverified(self, array_digests: Mapping[str, str]) -> str | None:
        """Return why the arrays may not be the published ones, or None."""
        return self.published_set.explain_unverified(self.name, array_digests)


@dataclass(frozen=True)
class DigitsSource(_Published):
    """The digits of the installed scikit-learn."""

    name: str = "digits"

    def cache_key(self) -> str:
        """Return scikit-learn's version."""
        return f"scikit-learn {version('scikit-learn')}"

    def count_training_examples(self) -> int:
        """Return the number of images outside the test set."""
        return DIGITS.train_images

    def load(self, check_capacity: CapacityCheck = accept_any_size) -> SourceArrays:
        """Read and split the digits; imports scikit-learn."""
        return load_digits_arrays()


@dataclass(frozen=True)
class PublishedSource(_Published, NpzSource):
    """A published data set in <data dir>/<name>.npz, downloaded once by `keras.datasets`."""

    @property
    def is_available(self) -> bool:
        """Whether the file exists."""
        return self.path.exists()

    def find_validation_set(self) -> None:
        """Return None: a published set is its four arrays, whatever else the file holds."""

    def list_unused(self) -> tuple[str, ...]:
        """Return nothing: a copy may come with other arrays."""
        return ()

    def load(self, check_capacity: CapacityCheck = accept_any_size) -> SourceArrays:
        """Read the four arrays."""
        return read_npz_file(self.path, check_capacity=check_capacity)

    def count_training_examples(self) -> int:
        """Return the length of x_train; before the download, that of the published one.

        Raises:
            RequestError: the file is not an .npz file, or has no such array.
        """
        # A request can be checked before the download, by the published size.
        if not self.is_available:
            return self.published_set.train_images
        return super().count_training_examples()

    def download(self) -> None:
        """Download the data set by `keras.datasets` and keep it at `path`; imports Keras.

        Raises:
            RequestError: the download failed, or the file cannot be written.
        """
        # Here, because only the process that prepares data downloads anything.
        from assay.experiments.data.sources.download import download_data_set

        published = self.published_set
        in_keras_cache = default_data_dir() / published.keras_cache
        download_data_set(self.name, published.url, in_keras_cache, self.path)


def locate_published(name: str, data_dir: Path, base: Path) -> Source:
    """Return the source of a published data set.

    Args:
        name: a key of `PUBLISHED_SETS`.
        data_dir: the folder where data sets are kept as <name>.npz.
        base: not used.
    """
    if name == "digits":
        return DigitsSource()
    return PublishedSource(name, (data_dir / f"{name}.npz").absolute())
