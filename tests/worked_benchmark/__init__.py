"""The worked benchmark: the studies, the references and the report in `experiments/reports/`."""
