"""Sizes of layers, as Keras counts them."""

from __future__ import annotations

import pytest

from assay.models.analysis.sizes import LayerConfig, measure_layers


def test_keras_counts_grouped_convolutions_as_the_formula() -> None:
    convolution = {"filters": 6, "kernel_size": 3, "groups": 2, "strides": 2}
    layers = [
        LayerConfig("Conv2D", convolution),
        LayerConfig("Flatten"),
        LayerConfig("Dense", {"units": 5, "use_bias": False}),
    ]
    first, flat, dense = measure_layers(layers, (9, 9, 4))
    assert (first.output_shape, first.weights, first.biases) == ((4, 4, 6), 3 * 3 * 2 * 6, 6)
    assert (flat.output_shape, flat.parameters) == ((96,), 0)
    assert (dense.weights, dense.biases) == (480, 0)


def test_other_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="gamma"):
        measure_layers([LayerConfig("BatchNormalization")], (4,))
