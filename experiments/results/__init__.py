"""Reading results back: a study, its trials, tables and plots."""
