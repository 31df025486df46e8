"""Random seeds: of a trial, and of a process."""

from __future__ import annotations

import hashlib

from assay.models import keras_compat


def trial_seed(study_seed: int, number: int) -> int:
    """Return the seed of a trial, in [0, 2**31).

    Args:
        study_seed: seed of the study.
        number: number of the trial.
    """
    # A hash, not a sum: studies with neighbouring seeds then share no trial seed. It depends on
    # neither the worker nor the time.
    digest = hashlib.sha256(f"{study_seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:4]) % 2**31


def derive_seed(study_seed: int, study: str) -> int:
    """Return a seed for the re-trainings of a study, in [0, 2**31).

    Studies of different names have different ones: `compare` takes their seeds as independent.

    Args:
        study_seed: seed of the study.
        study: its name.
    """
    digest = hashlib.sha256(f"{study_seed}/{study}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:4]) % 2**31


def finalist_seed(study_seed: int, opening: int, configuration: str, index: int) -> int:
    """Return the seed of a re-training, in [2**31, 2**32), where no seed of a trial is.

    Args:
        study_seed: of `derive_seed`.
        opening: which opening of the study's test set it is for.
        configuration: the configuration as text.
        index: number of the re-training among those of the configuration.
    """
    text = f"finalist/{study_seed}/{opening}/{configuration}/{index}"
    digest = hashlib.sha256(text.encode()).digest()
    return 2**31 + int.from_bytes(digest[:4]) % 2**31


def seed_everything(seed: int) -> None:
    """Set the seeds of Python, NumPy and Keras.

    Initial weights and the seeds of dropout layers are derived from it.
    """
    keras_compat.set_random_seed(seed)
