"""How fast this machine multiplies large matrices: what training is measured against. Runs in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

SIZE = 3000
_TRIES = 5


def flop_rate() -> dict[str, float]:
    """Return the best floating-point operations per second of a float32 product on all cores, by who multiplies."""
    import tensorflow as tf  # here: whoever starts this process need not import it

    random = np.random.default_rng(0)
    a, b = (random.standard_normal((SIZE, SIZE), np.float32) for _ in range(2))
    tensors = tf.constant(a), tf.constant(b)
    return {
        "numpy": _rate(lambda: a @ b),
        # A product is done when its result can be read.
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
