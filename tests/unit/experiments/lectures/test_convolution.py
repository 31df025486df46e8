"""Convolutions by hand, against NumPy and sums written out."""

from __future__ import annotations

import numpy as np

from assay.experiments.lectures.topics.convolution import (
    convolution_matrix,
    convolve,
    measure_shift,
)


def test_the_matrix_is_the_convolution() -> None:
    random = np.random.default_rng(0)
    taps, signal = random.standard_normal(3), random.standard_normal(5)
    np.testing.assert_allclose(
        convolution_matrix(taps, 5) @ signal, np.convolve(taps, signal), rtol=1e-13
    )
    assert np.count_nonzero(convolution_matrix(taps, 5)) == 15


def test_an_impulse_gives_the_kernel() -> None:
    image = np.zeros((5, 5))
    image[2, 2] = 1.0
    kernel = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(convolve(image, kernel), kernel)


def test_a_convolution_is_a_sum_with_a_flipped_kernel() -> None:
    image, kernel = np.arange(6.0).reshape(2, 3), np.array([[1.0, 2.0], [3.0, 4.0]])
    first = 4.0 * 0 + 3.0 * 1 + 2.0 * 3 + 1.0 * 4
    np.testing.assert_array_equal(convolve(image, kernel), [[first, first + 10]])


def test_only_local_sums_follow_a_shift() -> None:
    image = np.random.default_rng(0).standard_normal((9, 9))
    places = np.arange(49.0).reshape(7, 7)
    assert measure_shift(lambda x: convolve(x, np.ones((3, 3))), image) < 1e-14
    assert measure_shift(lambda x: places * x[1:-1, 1:-1], image) > 0.1
