"""Training: losses, metrics, optimizers, schedules, augmentation, early stopping, checkpoints."""
