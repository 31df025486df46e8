"""The [data] table of an experiment."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from assay.experiments.data.layout import Layout
from assay.experiments.data.registry import SOURCE_KEYS, check_source_keys, get_source_entry
from assay.models.errors import RequestError
from assay.models.settings import Settings

LARGEST_SEED = 2**32 - 1
"""Largest seed of NumPy's RandomState, which scikit-learn's split uses."""

MOST_SAMPLES = 10_000_000
"""Most points of a generated data set; a larger number is a typing error and fills the memory."""

LARGEST_SIDE = 4_096
"""Largest height or width of a resized image in pixels; likewise."""


class DataSettings(Settings):
    """The data set, its split and its scaling.

    Example:
        >>> DataSettings.read({"name": "mnist", "validation": 10_000}, "[data]").scale
        'unit'
    """

    name: str
    """Name of a data set, see `assay list datasets`; npz:PATH and folder:PATH are your own data."""

    validation: int | None = Field(default=None, ge=1)
    """Number of validation examples, split off the training set (stratified). Default: a sixth.
    Leave it out for data with a validation set of their own."""

    train_images: int | None = Field(default=None, ge=1)
    """Size of the training subset (stratified); a larger one contains a smaller one. Default:
    all."""

    split_seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    """Random seed of the validation split and the subset; independent of the training seed."""

    scale: Literal["unit", "standard", "none"] = "unit"
    """Input scaling, fitted on the training set: unit ([0, 1]), standard (mean 0, variance 1),
    none."""

    size: tuple[int, int] | None = None
    """[height, width] in pixels to which the images of folder:PATH are resized. Default: no
    resizing."""

    layout: Layout | None = None
    """Axes of x in npz:PATH: channels_last (images, grey ones with or without a channel axis),
    channels_first, or sequence (n, steps, features). Default: recognised where the shape tells."""

    samples: int | None = Field(default=None, ge=4, le=MOST_SAMPLES)
    """Generated data sets only: number of training points, validation included. Default: 1,000."""

    noise: float | None = Field(default=None, ge=0, le=1_000)
    """Generated data sets only: standard deviation of the noise. Default: see `assay list
    datasets`."""

    seed: int | None = Field(default=None, ge=0, le=LARGEST_SEED)
    """Generated data sets only: random seed of the points. Default: 0."""

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        get_source_entry(name)
        return name

    @field_validator("size", mode="before")
    @classmethod
    def _check_size(cls, size: object) -> object:
        # Before Pydantic's own check, whose message would be about the first of the two numbers.
        if size is None:
            return None
        if isinstance(size, (list, tuple)) and len(size) == 2 and all(map(_is_side, size)):
            return tuple(size)  # TOML and JSON have lists
        raise RequestError(
            f"must be [height, width] in pixels, whole numbers from 1 to {LARGEST_SIDE:,}; "
            f"received {size!r}."
        )

    @model_validator(mode="after")
    def _check_source_keys(self) -> Self:
        check_source_keys(self.name, {key: getattr(self, key) for key in SOURCE_KEYS})
        return self

    @property
    def is_user_data(self) -> bool:
        """Whether the name is the path of your own file or folder."""
        return get_source_entry(self.name).prefix is not None

    def applicable_keys(self) -> list[str]:
        """Return the keys of [data] that this data set takes."""
        entry = get_source_entry(self.name)
        return [
            key for key in DataSettings.model_fields if key in entry.keys or key not in SOURCE_KEYS
        ]

    def source_options(self) -> dict[str, Any]:
        """Return the values of the keys that this data set's source takes, by key."""
        return {key: getattr(self, key) for key in get_source_entry(self.name).keys}


def _is_side(value: object) -> bool:
    # A bool is an int in Python, but `true` is no number of pixels.
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_SIDE
