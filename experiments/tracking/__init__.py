"""MLflow tracking: the recorded study, fed from its journal."""
