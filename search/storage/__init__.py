"""Optuna's storage: opening it, and the wrappers around its database."""
