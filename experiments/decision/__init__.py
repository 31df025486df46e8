"""Decisions: configurations trained again, the test set opened once, studies compared."""
