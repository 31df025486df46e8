"""What a network is asked for: one of several classes, or numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

Task: TypeAlias = Literal["classification", "regression"]
"""Classification: labels int32 (n,), a logit a class. Regression: targets float32 (n, outputs), as
many numbers.
"""

METRICS: Mapping[Task, tuple[str, ...]] = {
    "classification": ("loss", "accuracy"),
    "regression": ("loss", "mae"),
}
"""What an epoch measures on the training images; the same with "val_" before it on the validation
images.
"""

DEFAULT_LOSS: Mapping[Task, str] = {
    "classification": "cross_entropy",
    "regression": "squared_error",
}
