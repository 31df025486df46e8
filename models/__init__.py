"""Keras: how a network is described, compiled, trained and tested; start with `recipe.py`."""
