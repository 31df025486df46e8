"""Outputs of layers with given weights."""

from __future__ import annotations

import numpy as np

from assay.models.analysis.layer_outputs import compute_layer
from assay.models.analysis.sizes import LayerConfig


def test_a_convolution_correlates() -> None:
    config = LayerConfig("Conv1D", {"filters": 1, "kernel_size": 2})
    kernel, bias = np.array([1.0, 10.0])[:, None, None], np.array([0.5])
    x = np.array([1.0, 2.0, 3.0])[None, :, None]
    np.testing.assert_array_equal(compute_layer(config, [kernel, bias], x)[0, :, 0], [21.5, 32.5])
