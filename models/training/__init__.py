"""Training: its settings, losses, metrics, optimizers, schedules, and the epochs of a fit."""
