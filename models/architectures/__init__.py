"""Architectures: built-in model families, and user-defined models."""
