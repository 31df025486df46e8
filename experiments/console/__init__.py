"""What a terminal shows: progress, summaries and tables."""
