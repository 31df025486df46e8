"""Keras: how a network is described, compiled, fitted and tested. `recipe.py` is the place to start
reading.
"""
