"""Seeding whatever a model draws from as it is built and trained."""

from __future__ import annotations

import hashlib
import random


def seed_everything(seed: int) -> None:
    """Have all that is drawn from now on follow from this seed: initial weights, and the seeds of
    dropout layers.

    What `keras.utils.set_random_seed` does; that would also import TensorFlow, where it is
    installed, on any backend.
    """
    import keras  # not at the top: the trainer's `preload` decides when the backend is imported
    import numpy as np  # not at the top: samplers need the seed of a trial alone

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


# Seeds: every trial's own, all of them following from the study's.


def trial_seed(study_seed: int, number: int) -> int:
    """Return the seed of a trial, in [0, 2**31), from the study's seed and the trial's number.

    A hash rather than a sum: neighbouring studies and trials share no seeds, and no trial's seed
    depends on which worker trained it or when.
    """
    digest = hashlib.sha256(f"{study_seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:4]) % 2**31
