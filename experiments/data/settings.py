"""The [data] table of an experiment: which data set, and how it is split and scaled."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from experiments.data.known import KNOWN
from models.errors import RequestError
from models.names import check_name
from models.settings import Settings

ARCHIVE_PREFIX = "npz:"
"""What a name begins with that says where the user's own arrays are."""

LARGEST_SEED = 2**32 - 1
"""What NumPy's RandomState, and with it scikit-learn's split, takes."""


class DataSettings(Settings):
    """Which data set, how many images validate, and how the numbers are scaled."""

    name: str
    """A known data set, or `npz:PATH`: the user's own four arrays."""

    validation: int | None = Field(default=None, ge=1)
    """Images split off the training set, stratified; None is a sixth of it, as 10,000 of MNIST's 60,000."""

    split_seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    """Decides which images validate, whatever seed the training has."""

    scale: Literal["unit", "standard", "none"] = "unit"
    """[0, 1]; mean 0 and variance 1 over the training split; or the numbers as they are."""

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if not name.startswith(ARCHIVE_PREFIX):
            return check_name("data set", name, [*KNOWN, f"{ARCHIVE_PREFIX}PATH"])
        if name == ARCHIVE_PREFIX:
            raise RequestError(f"{ARCHIVE_PREFIX}PATH must say where the file is; received {name!r}.")
        return name
