"""Reading results: a study, its trials, its tables and its plots."""
