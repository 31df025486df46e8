"""The card that this process computes on, as its backend knows it. Told after `preload`: asking starts CUDA."""

from __future__ import annotations


def share(megabytes: int | None) -> None:
    """Take no more of a card's memory than so many MiB, or without a number no more than comes to be needed.

    Before the first operation. JAX reads what it may take from its environment.
    """
    import keras  # not at the top: settings are checked without a backend

    if keras.backend.backend() == "tensorflow":
        from models.backends import tensorflow_card

        tensorflow_card.share(megabytes)


def find() -> str | None:
    """Return what the card is called that this process computes on; None if it computes on the processor."""
    import keras  # not at the top: settings are checked without a backend

    match keras.backend.backend():
        case "tensorflow":
            from models.backends import tensorflow_card

            return tensorflow_card.find()
        case "jax":
            return _find_on_jax()
        case _:
            return _find_on_torch()


def _find_on_jax() -> str | None:
    import jax  # the backend that Keras runs on, and no other

    try:
        device = jax.devices()[0]
    except RuntimeError:  # it was told by its environment to use what is not there
        return None
    return None if device.platform == "cpu" else str(device.device_kind)


def _find_on_torch() -> str | None:
    import torch  # the backend that Keras runs on, and no other

    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else None
