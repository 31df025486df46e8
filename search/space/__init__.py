"""The space that is searched: parameters with their distributions, some of which exist only under a condition."""

from __future__ import annotations

from search.space.condition import Condition
from search.space.parameter import Choice, Parameter
from search.space.reading import read_space
from search.space.space import Configuration, Space

__all__ = ["Choice", "Condition", "Configuration", "Parameter", "Space", "read_space"]
