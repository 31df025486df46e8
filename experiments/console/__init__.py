"""Terminal output: progress, summaries and tables."""
