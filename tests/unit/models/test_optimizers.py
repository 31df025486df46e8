"""Settings of optimizers."""

from __future__ import annotations

import pytest

from assay.models.errors import RequestError
from assay.models.training.config import TrainSettings


def test_two_kinds_of_clipping_are_refused() -> None:
    with pytest.raises(RequestError, match=r"clip_norm = 1.0 with clip_value = 0.5; remove one"):
        TrainSettings.read({"clip_norm": 1.0, "clip_value": 0.5}, "[train]")
