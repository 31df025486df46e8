"""Maintenance: comparing and repairing the stores, and deleting a study."""
