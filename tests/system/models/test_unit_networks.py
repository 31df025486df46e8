"""Networks with units that the built-in families do not have."""

from __future__ import annotations

import numpy as np
import pytest

from assay.models.analysis.unit_networks import UNITS, build_network
from assay.models.errors import RequestError

FUNCTIONS = {
    "centred_sigmoid": lambda z: 1 / (1 + np.exp(-z)) - 0.5,
    "cos": np.cos,
    "exp": np.exp,
}


@pytest.mark.parametrize("activation", UNITS)
def test_a_network_applies_its_activation(activation: str) -> None:
    network = build_network((3,), 4, activation, outputs=2)
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    kernel, bias, output_kernel, output_bias = network.get_weights()
    hidden = FUNCTIONS[activation](x @ kernel + bias)
    expected = hidden @ output_kernel + output_bias
    assert np.asarray(network(x)) == pytest.approx(expected, abs=1e-5)


def test_a_network_takes_images_and_classes() -> None:
    assert build_network((28, 28, 1), 100, "centred_sigmoid", classes=10).count_params() == 79_510


def test_an_unknown_activation_and_no_width_are_refused() -> None:
    with pytest.raises(RequestError):
        build_network((3,), 4, "cosine", outputs=2)
    with pytest.raises(RequestError):
        build_network((3,), 4, "cos")
