"""Evaluation of configurations: what several seeds and one test set can tell apart."""
