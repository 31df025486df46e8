"""Losses and metrics by name: what training brings down, and what its reader looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.names import check_name

if TYPE_CHECKING:
    import keras

LOSSES = ("cross_entropy",)


def check_loss(name: str) -> str:
    """Return `name` if it is a loss.

    Raises:
        RequestError: it is not.
    """
    return check_name("loss", name, LOSSES)


def loss(name: str) -> keras.losses.Loss:
    """Return a new Keras loss of labels (batch,) and logits (batch, classes).

    Cross entropy is taken from the logits: a softmax of its own before the logarithm loses digits.

    Raises:
        RequestError: the name is unknown.
    """
    import keras  # not at the top: settings are checked without a backend

    check_loss(name)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, name=name)


def metrics() -> list[keras.metrics.Metric]:
    """Return what is measured beside the loss in classification: the share of images whose largest logit is right."""
    import keras  # not at the top: settings are checked without a backend

    return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
