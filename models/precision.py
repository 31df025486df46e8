"""The precisions that Keras can train in.

In a mixed one layers compute with 16 bits and keep their weights in 32; logits and losses are
float32 (https://keras.io/api/mixed_precision). With mixed_float16 `compile` scales the loss, lest
gradients vanish.
"""

from __future__ import annotations

from assay.models.names import check_name

SCALED = "mixed_float16"
"""The one whose losses are scaled, by an optimizer around the optimizer."""

PRECISIONS = ("float32", "mixed_bfloat16", SCALED)
"""By the names of Keras' dtype policies."""


def check_precision(name: str) -> str:
    """Return `name` if it is a precision.

    Raises:
        RequestError: it is not.
    """
    return check_name("precision", name, PRECISIONS)


def use(precision: str) -> None:
    """Have the models that are described from now on compute in a precision; `clear_session`
    forgets it.
    """
    import keras  # not at the top: settings are checked without a backend

    keras.config.set_dtype_policy(precision)
