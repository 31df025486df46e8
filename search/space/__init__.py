"""Search space: hyperparameters with their distributions and conditions."""

from __future__ import annotations

from assay.search.space.parameter import Choice, Condition, Parameter
from assay.search.space.space import Configuration, Kind, Space, read_space

__all__ = ["Choice", "Condition", "Configuration", "Kind", "Parameter", "Space", "read_space"]
