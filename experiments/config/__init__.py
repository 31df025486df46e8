"""Experiments as TOML files, and requests of users."""
