"""Simulations of the statistics: how often a verdict is false, and what it finds.

`make simulate` runs them and fails if a bound is broken. The data are drawn by code that shares
nothing with the statistics that are tried.
"""
