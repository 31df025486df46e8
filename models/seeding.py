"""Seeding whatever a model draws from as it is built and trained."""

from __future__ import annotations

import random

import numpy as np


def seed_everything(seed: int) -> None:
    """Have all that is drawn from now on follow from this seed: initial weights, and the seeds of dropout layers.

    What `keras.utils.set_random_seed` does; that would also import TensorFlow, where it is installed, on any backend.
    """
    import keras  # not at the top: the trainer's `preload` decides when the backend is imported

    if keras.backend.backend() != "jax":
        keras.utils.set_random_seed(seed)
        return
    # No public call does this alone.
    from keras.src.backend.common import global_state
    from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR
    from keras.src.utils.rng_utils import GLOBAL_RANDOM_SEED

    global_state.set_global_attribute(GLOBAL_RANDOM_SEED, seed)
    global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, None)
    random.seed(seed)
    np.random.seed(seed)
