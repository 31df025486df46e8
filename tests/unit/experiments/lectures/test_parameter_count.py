"""Formulas of layer sizes, against counts by hand."""

from __future__ import annotations

import pytest

from assay.experiments.lectures.diagrams import place_units
from assay.experiments.lectures.topics.parameter_count import count_alexnet, count_dense


@pytest.mark.parametrize(
    ("sizes", "neurons", "weights", "parameters"),
    [((3, 4, 2), 6, 20, 26), ((2, 3, 3, 1), 7, 18, 25), ((784, 100, 10), 110, 79_400, 79_510)],
)
def test_dense_networks_have_the_lectures_numbers(
    sizes: tuple[int, ...], neurons: int, weights: int, parameters: int
) -> None:
    layers = count_dense(sizes)
    assert sum(layer.neurons for layer in layers) == neurons
    assert sum(layer.weights for layer in layers) == weights
    assert sum(layer.parameters for layer in layers) == parameters


def test_alexnet_has_the_sizes_of_its_paper() -> None:
    layers = count_alexnet()
    assert [layer.output_shape for layer in layers[:5]] == [
        (55, 55, 96),
        (27, 27, 256),
        (13, 13, 384),
        (13, 13, 384),
        (13, 13, 256),
    ]
    assert layers[0].parameters == 34_944
    assert layers[1].parameters == 307_456
    assert sum(layer.parameters for layer in layers) == 60_965_224


def test_a_long_layer_is_drawn_with_a_gap() -> None:
    short, long = place_units((3, 784), width=2.0)
    assert (short.is_cut, long.is_cut) == (False, True)
    assert list(short.y) == [1, 0, -1]
    assert len(long.y) == 6
    assert long.y[2] - long.y[3] == 2
