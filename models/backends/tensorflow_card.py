"""TensorFlow on a card: its name, and how much of its memory is taken."""

from __future__ import annotations

import tensorflow as tf


def share(megabytes: int | None) -> None:
    """Take no more of a card's memory than so many MiB, or without a number no more than comes to be needed.

    Left alone, TensorFlow takes the whole card at its start, and the next worker gets none. A limit and growth exclude
    each other: what is limited is taken at once (https://www.tensorflow.org/guide/gpu#limiting_gpu_memory_growth).
    """
    for card in tf.config.list_physical_devices("GPU"):
        if megabytes is None:
            tf.config.experimental.set_memory_growth(card, True)
        else:
            limited = tf.config.LogicalDeviceConfiguration(memory_limit=megabytes)
            tf.config.set_logical_device_configuration(card, [limited])


def find() -> str | None:
    """Return what the card is called that TensorFlow computes on; None if it computes on the processor."""
    cards = tf.config.list_physical_devices("GPU")
    if not cards:
        return None
    return str(tf.config.experimental.get_device_details(cards[0]).get("device_name", "of unknown name"))
