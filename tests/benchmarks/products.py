"""Speed of large matrix products on this machine.

The measure `arithmetic` compares training with it. `flop_rate` runs in a child process.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

SIZE = 3000
_TRIES = 5


def flop_rate() -> dict[str, float]:
    """Return the best FLOP/s of a float32 product, by library.

    Both libraries, NumPy and TensorFlow, use all cores.
    """
    # Imported here, because the parent process must not load a backend.
    import tensorflow as tf

    random = np.random.default_rng(0)
    a, b = (random.standard_normal((SIZE, SIZE), np.float32) for _ in range(2))
    tensors = tf.constant(a), tf.constant(b)
    return {
        "numpy": _rate(lambda: a @ b),
        # `numpy()` waits until the product is computed.
        "tensorflow": _rate(lambda: tf.matmul(*tensors).numpy()),
    }


def _rate(product: Callable[[], object]) -> float:
    product()
    seconds = []
    for _ in range(_TRIES):
        started = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - started)
    return 2 * SIZE**3 / min(seconds)
