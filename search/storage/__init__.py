"""Optuna's storage: how it is opened, and the wrappers around its database."""
