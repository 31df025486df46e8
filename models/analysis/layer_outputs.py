"""What a layer of Keras with given weights computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.models.analysis.sizes import LayerConfig


def compute_layer(
    config: LayerConfig, weights: Sequence[NDArray[Any]], x: NDArray[Any]
) -> NDArray[np.float32]:
    """Return the outputs of a layer in float32.

    Args:
        config: the layer.
        weights: its weights, in the order of Keras: of a convolution the kernel (height, width,
            channels, filters) and, unless `use_bias` is false, the bias (filters,).
        x: inputs (examples, ...).

    Example:
        >>> convolution = LayerConfig("Conv2D", {"filters": 1, "kernel_size": 3, "use_bias": False})
        >>> compute_layer(convolution, [np.ones((3, 3, 1, 1))], np.ones((1, 5, 5, 1))).shape
        (1, 3, 3, 1)
    """
    import keras  # here, because its backend must be chosen first

    layer = getattr(keras.layers, config.layer)(**config.arguments)
    layer.build((None, *x.shape[1:]))
    layer.set_weights(list(weights))
    outputs = layer(keras.ops.convert_to_tensor(np.asarray(x, np.float32)))
    return np.asarray(keras.ops.convert_to_numpy(outputs), np.float32)
