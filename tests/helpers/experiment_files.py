"""Texts of experiment files."""

from __future__ import annotations

EXPERIMENT = """
title = "mine"
[data]
name = "digits"
[model]
family = "mlp"
[train]
epochs = 2
[space]
hidden_units = { low = 4, high = 8 }
activation = ["relu", "tanh"]
[[baseline]]
hidden_units = 5
"""


OWN = """
title = "a network of one's own"
[data]
name = "digits"
[model]
family = "nets.py:build"
[space]
width = [4, 8]
[search]
trials = 2
"""
