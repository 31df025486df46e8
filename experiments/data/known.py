"""The data sets that are known by name: what they hold, where they come from, what their bytes hash
to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

TEN_DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class KnownSet:
    """A published data set.

    Attributes:
        summary: one line for a list of data sets.
        train_images: images in the published training set, validation not yet split off.
        test_images: images in the published test set.
        shape: of one image, (height, width, channels).
        classes: names of the labels 0, 1, 2, ...
        source: who made it, and where that is described.
        url: what `keras.datasets` fetches first; "" if nothing is ever fetched.
        cached: where under its own data folder Keras keeps what it fetched from `url`.
        published: SHA-256 of each array's bytes in C order, for the arrays whose digest is on
            record.
        altered: what is known of copies that are not the published ones, by the SHA-256 of the
            array that differs.
        largest_value: of a pixel as it is stored.
    """

    summary: str
    train_images: int
    test_images: int
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    source: str
    url: str = ""
    cached: str = ""
    published: Mapping[str, str] = field(default_factory=dict)
    altered: Mapping[str, str] = field(default_factory=dict)
    largest_value: int = 255


# Of scikit-learn's images and labels as uint8, after the fixed split in
# `assay.experiments.data.digits`.
DIGITS = KnownSet(
    summary="1,797 handwritten digits, 8 x 8 grey; comes with scikit-learn, nothing to download",
    train_images=1437,
    test_images=360,
    shape=(8, 8, 1),
    classes=TEN_DIGITS,
    source="UCI Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998), by sklearn.datasets.load_digits",
    published={
        "x_train": "5760f944f9d4583320655eb3932bdbb8a1d7ecccece1d5e8ac73699a93fdf434",
        "y_train": "33fe81a53fa12d9cd119c74adab9b6b08a7d070ee62e736390c5cf89f00886b1",
        "x_test": "3cc232bd25364446c8646cd9434a26e35ea92e20045d395b2fdd2232a75c9b8f",
        "y_test": "70ee2850bb25b543ca4112717fd4396c3fb90bcb54d8015bd3f9c7c900966072",
    },
    largest_value=16,
)

# How to check these: put each array's IDX header (0, 0, 8, its dimensions' number, then each
# dimension as four bytes, the highest first) before its bytes, and the MD5s are the published ones
# of the four unpacked files: train-images 6bbc9ace898e44ae57da46a324031adb, train-labels
# a25bea736e30d166cdddb491f175f624, t10k-images 2646ac647ad5339dbf082846283269ea, t10k-labels
# 27ae3e4e09519cfbb04c329615203637. A test does so.
MNIST = KnownSet(
    summary="70,000 handwritten digits, 28 x 28 grey",
    train_images=60_000,
    test_images=10_000,
    shape=(28, 28, 1),
    classes=TEN_DIGITS,
    source="LeCun, Cortes and Burges, 'The MNIST database of handwritten digits', 1998",
    url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    cached="mnist.npz",
    published={
        "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    },
)

FASHION_MNIST = KnownSet(
    summary="70,000 pieces of clothing, 28 x 28 grey",
    train_images=60_000,
    test_images=10_000,
    shape=(28, 28, 1),
    classes=(
        *("t-shirt/top", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
    source="Xiao, Rasul and Vollgraf, 'Fashion-MNIST', 2017, arXiv:1708.07747",
    url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/train-labels-idx1-ubyte.gz",
    cached="fashion-mnist/train-labels-idx1-ubyte.gz",
)

CIFAR10 = KnownSet(
    summary="60,000 small photographs of ten kinds of thing, 32 x 32 colour",
    train_images=50_000,
    test_images=10_000,
    shape=(32, 32, 3),
    classes=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    source="Krizhevsky, 'Learning multiple layers of features from tiny images', 2009",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    cached="cifar-10-batches-py-target_archive",
    # The original x_test's digest is not on record here, so no copy's test images can be verified
    # yet.
    published={
        "x_train": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
        "y_train": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        "y_test": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
    },
    altered={
        "201be40c8d17efdb7bdcbfae520dcc0f1ffb765592640a44cc3862bfdfaea8d7": (
            "x_test is a copy of which 8,983 of 10,000 images went through JPEG (mean absolute error 5.8 of 255), so "
            "a test figure is not comparable with published ones to better than about a point"
        ),
    },
)

KNOWN: Mapping[str, KnownSet] = {
    "digits": DIGITS,
    "mnist": MNIST,
    "fashion-mnist": FASHION_MNIST,
    "cifar10": CIFAR10,
}
"""Every published data set that an experiment can name, in the order to list them."""
