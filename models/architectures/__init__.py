"""Architectures: the built-in families, and models made by a function of the user."""
