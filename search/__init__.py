"""The search: spaces, samplers, pruners, the study, and the supervisor that hands its trials to
workers.

Knows Optuna and plain numbers; nothing of Keras, nothing of MLflow. What it needs from others it
states as protocols.
"""
