"""The [data] table of an experiment: which data set, and how it is made, split and scaled."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from assay.experiments.data.archive import ARCHIVE_PREFIX
from assay.experiments.data.generated import GENERATED
from assay.experiments.data.image_folder import FOLDER_PREFIX
from assay.experiments.data.known import KNOWN
from assay.models.errors import RequestError
from assay.models.names import check_name
from assay.models.settings import Settings

OWN = {ARCHIVE_PREFIX: "file", FOLDER_PREFIX: "folder"}
"""What a name begins with that says where the user's own data are, and what must be there."""

LARGEST_SEED = 2**32 - 1
"""What NumPy's RandomState, and with it scikit-learn's split, takes."""

MOST_SAMPLES = 10_000_000
"""Of a set that is drawn: more is a slip of the keyboard, and would fill the memory."""

LARGEST_SIDE = 4_096
"""Of an image after resizing, in pixels; likewise."""


_OF_GENERATED = ("samples", "noise", "seed")


class DataSettings(Settings):
    """Which data set, how many examples train and validate, and how the numbers are scaled."""

    name: str
    """A known data set or one that is drawn; `npz:PATH` or `folder:PATH`: the user's own arrays or
    images.
    """

    validation: int | None = Field(default=None, ge=1)
    """Examples split off the training set, stratified unless for regression; None is a sixth of it,
    as 10,000 of
    MNIST's 60,000."""

    train_images: int | None = Field(default=None, ge=1)
    """Examples kept of those that are left to train on, in the proportions of their classes, by
    `split_seed`; None is
    all. A smaller number keeps a part of what a larger one keeps, and those that validate stay the
    same."""

    split_seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    """Decides which examples validate, whatever seed the training has."""

    scale: Literal["unit", "standard", "none"] = "unit"
    """[0, 1]; mean 0 and variance 1 over what is trained on; or the numbers as they are."""

    size: tuple[int, int] | None = None
    """(height, width) in pixels that the images of `folder:PATH` are resized to; None: all have one
    size.
    """

    samples: int | None = Field(default=None, ge=4, le=MOST_SAMPLES)
    """Training points of a set that is drawn, validation not yet split off; None is 1,000. At least
    two a class, to
    train and to validate."""

    noise: float | None = Field(default=None, ge=0, le=1_000)
    """Standard deviation of a set that is drawn; None is the set's own, which `assay list datasets`
    tells.
    """

    seed: int | None = Field(default=None, ge=0, le=LARGEST_SEED)
    """Decides which points of a set are drawn; None is 0."""

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        for prefix, what in OWN.items():
            if name == prefix:
                raise RequestError(f"{prefix}PATH must say where the {what} is; received {name!r}.")
            if name.startswith(prefix):
                return name
        return check_name(
            "data set", name, [*KNOWN, *GENERATED, *(f"{prefix}PATH" for prefix in OWN)]
        )

    @field_validator("size", mode="before")
    @classmethod
    def _is_height_and_width(cls, size: object) -> object:
        if size is None or (
            isinstance(size, (list, tuple)) and len(size) == 2 and all(map(_is_side, size))
        ):
            return size if size is None else tuple(size)  # TOML and JSON have lists
        raise RequestError(
            f"must be [height, width] in pixels, whole numbers from 1 to {LARGEST_SIDE:,}; received {size!r}."
        )

    def keys(self) -> list[str]:
        """Return the keys that this data set can have."""
        unsuited = {*(() if self.name.startswith(FOLDER_PREFIX) else ("size",))}
        unsuited |= {*(() if self.name in GENERATED else _OF_GENERATED)}
        return [key for key in DataSettings.model_fields if key not in unsuited]

    @model_validator(mode="after")
    def _keys_suit_the_set(self) -> Self:
        if self.size is not None and not self.name.startswith(FOLDER_PREFIX):
            raise RequestError(
                f"size is for {FOLDER_PREFIX}PATH alone; received name = {self.name!r}: remove size."
            )
        for key in _OF_GENERATED:
            if getattr(self, key) is not None and self.name not in GENERATED:
                raise RequestError(
                    f"{key} is for sets that are drawn, {', '.join(GENERATED)}; received name = {self.name!r}: "
                    f"remove {key}."
                )
        if self.noise == 0 and GENERATED[self.name].needs_noise:
            raise RequestError(
                f"noise must be above 0 for {self.name}, whose points are evenly spaced without it, those that test "
                "among those that train; received 0."
            )
        return self


def _is_side(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_SIDE
