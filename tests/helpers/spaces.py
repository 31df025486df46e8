"""Search spaces of every kind."""

from __future__ import annotations

from typing import Any

WIDE = {"x": {"low": 0.0, "high": 1.0}, "rate": {"low": 1e-5, "high": 1.0, "log": True}}

SPACES: dict[str, dict[str, Any]] = {
    "floats": WIDE,
    "one range": {"x": {"low": 0.0, "high": 1.0}},
    "integers": {
        "units": {"low": 1, "high": 9, "step": 2},
        "width": {"low": 1, "high": 512, "log": True},
    },
    "steps": {"dropout": {"low": 0.0, "high": 0.5, "step": 0.1}, "x": {"low": -1.0, "high": 1.0}},
    "choices": {"kind": ["a", "b", "c"], "bias": [True, False]},
    "a single value": {
        "units": {"low": 3, "high": 3},
        "kind": ["a"],
        "x": {"low": 0.0, "high": 1.0},
    },
    "everything": {"kind": ["a", 2, True], "units": {"low": 1, "high": 9}, **WIDE},
    "a grid": {
        "x": {"low": 0.0, "high": 1.0, "step": 0.05},
        "layers": [[1], [2, 3]],
        "units": {"low": 1, "high": 9},
    },
    "conditions": {
        "kind": ["a", "b"],
        "x": {"low": 0.0, "high": 1.0, "step": 0.1, "when": {"kind": "a"}},
        "bias": {"choices": [True, False], "when": {"x": {"low": 0.5}}},
    },
}

COUNTABLE = ("choices", "a grid", "conditions")
"""Spaces that a grid can cover."""
