"""Tasks: what a network predicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

Task: TypeAlias = Literal["classification", "regression"]
"""Classification: labels int32 (n,), one logit per class. Regression: targets float32 (n, outputs),
one value per output.
"""

TASKS: tuple[Task, ...] = get_args(Task)

DEFAULT_LOSS: Mapping[Task, str] = {
    "classification": "cross_entropy",
    "regression": "squared_error",
}
