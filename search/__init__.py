"""The search: spaces, samplers, pruners, the study, and the supervisor with its workers.

It knows Optuna and plain values, nothing of Keras or MLflow. What it needs of other packages, it
states as protocols (`assay.search.workers.protocol`).
"""
