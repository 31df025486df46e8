"""Precisions: the number formats in which Keras trains.

In a mixed precision, layers compute with 16 bits and keep their weights in 32; logits and losses
are float32 (https://keras.io/api/mixed_precision).
"""

from __future__ import annotations

from assay.models.names import check_name

SCALED = "mixed_float16"
"""The precision in which `compile` scales the loss, so that small gradients do not vanish. Keras
does this with an optimizer that wraps the optimizer.
"""

PRECISIONS = ("float32", "mixed_bfloat16", SCALED)
"""Names of Keras' dtype policies."""


def check_precision(name: str) -> str:
    """Return `name` if it is a precision.

    Raises:
        RequestError: the name is unknown.
    """
    return check_name("precision", name, PRECISIONS)


def use_precision(precision: str) -> None:
    """Set the precision of the next models.

    `keras.backend.clear_session` resets it.
    """
    import keras  # not at the top: settings are checked without a backend

    keras.config.set_dtype_policy(precision)


def current_precision() -> str:
    """Return the name of the dtype policy of the next models."""
    import keras  # not at the top: settings are checked without a backend

    return str(keras.config.dtype_policy().name)


def fix_keras_settings() -> None:
    """Set Keras' global settings, whatever the user's `keras.json` says.

    A file that was written for another program must not change what the networks are.
    """
    import keras  # not at the top: settings are checked without a backend

    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
