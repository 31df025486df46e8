"""Search space: hyperparameters with their distributions and conditions."""

from __future__ import annotations

from assay.search.space.parameter import Choice, Condition, Parameter
from assay.search.space.space import Configuration, Space, ValueKind, read_space

__all__ = ["Choice", "Condition", "Configuration", "Parameter", "Space", "ValueKind", "read_space"]
