"""Running: a sweep, a single training, a dry run, and what they share."""
