"""MLflow: what a study leaves there, fed from its journal."""
