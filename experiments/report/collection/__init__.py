"""Collecting the records of a report from the stores."""
