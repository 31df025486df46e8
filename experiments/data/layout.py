"""Layouts: which axis of x is what, as it is read and as it is stored.

Stored inputs are rows (n, features), sequences (n, steps, features), or images (n, height, width,
channels).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from assay.experiments.data.arrays import Array
from assay.models.errors import RequestError

Layout: TypeAlias = Literal["channels_last", "channels_first", "sequence"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

MOST_CHANNELS = 4
"""Grey, grey with alpha, RGB and RGBA images have 1 to 4 channels."""

SMALLEST_GREY_SIDE = 8
"""Height and width in pixels from which a square of numbers is taken for a grey image."""

RESIZE_FILTER = "bilinear"
"""The filter of Pillow by which images are resized."""

_AXES: dict[Layout, tuple[int, ...]] = {
    "channels_last": (3, 4),
    "channels_first": (4,),
    "sequence": (3,),
}
"""Numbers of axes that a layout can be of."""

_SHAPES: dict[Layout, str] = {
    "channels_last": "images (n, height, width) or (n, height, width, channels)",
    "channels_first": "images (n, channels, height, width)",
    "sequence": "sequences (n, steps, features)",
}


def resolve_layout(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    requested: Layout | None,
    name: str,
    has_negative: Callable[[], bool],
) -> Layout | None:
    """Return the layout of x_train; None for rows.

    Args:
        shape: shape of x_train, 2 to 4 axes.
        dtype: type of x_train.
        requested: [data] layout; None to recognise it.
        name: the data set's name, for the message.
        has_negative: returns whether x_train has a negative number; called only if it matters.

    Raises:
        RequestError: x_train has another layout than requested, or could have several.
    """
    if requested is not None:
        if len(shape) not in _AXES[requested]:
            advice = "remove layout" if len(shape) == 2 else "choose another layout, or remove it"
            raise RequestError(
                f"{name}: [data] layout = '{requested}' is for {_SHAPES[requested]}; "
                f"received x_train of shape {shape}: {advice}."
            )
        return requested
    if len(shape) == 2:
        return None
    if len(shape) == 3:
        if dtype == np.uint8 or (_may_be_grey(shape) and not has_negative()):
            return "channels_last"
        raise RequestError(
            f"{name}: x_train of shape {shape} can be grey images, which get a channel axis, or "
            "sequences (n, steps, features), which do not: say layout = 'channels_last' or "
            "layout = 'sequence' under [data]."
        )
    if shape[1] <= MOST_CHANNELS < shape[3]:
        raise RequestError(
            f"{name}: images must have their channels in the last axis, but x_train of shape "
            f"{shape} looks like channels first: say layout = 'channels_first' under [data], or "
            "layout = 'channels_last' if the last axis is right."
        )
    return "channels_last"


def predict_input_shape(
    shape: tuple[int, ...], dtype: np.dtype[Any], requested: Layout | None
) -> tuple[int, ...] | None:
    """Return the shape of one stored input, as far as the header of x_train tells.

    Returns:
        (features,), (steps, features) or (height, width, channels); None if the layout depends on
        the numbers, or if the array will be refused.
    """
    if not 2 <= len(shape) <= 4:
        return None
    is_unclear = len(shape) == 3 and dtype != np.uint8
    if requested is None and is_unclear:
        return None  # images or refused: the numbers tell
    try:
        layout = resolve_layout(shape, dtype, requested, "", has_negative=lambda: False)
    except RequestError:
        return None  # preparation says why
    return input_shape_in(layout, shape)


def input_shape_in(layout: Layout | None, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of one stored input, from the shape of x in a layout."""
    match layout, shape[1:]:
        case "channels_first", (channels, height, width):
            return height, width, channels
        case "channels_last", (height, width):
            return height, width, 1
        case _, stored:
            return stored


def to_stored_layout(x: Array, layout: Layout | None) -> Array:
    """Return a view of x in which the axes are as they are stored."""
    if layout == "channels_first":
        return np.moveaxis(x, 1, -1)
    if layout == "channels_last" and x.ndim == 3:
        return x[..., np.newaxis]
    return x


def _may_be_grey(shape: tuple[int, ...]) -> bool:
    """Return whether numbers (n, height, width) may be grey images, such as a float MNIST."""
    _, height, width = shape
    return height == width >= SMALLEST_GREY_SIDE
