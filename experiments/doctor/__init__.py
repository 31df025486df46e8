"""Do Optuna, MLflow and the journal tell the same story of every trial? Said, and mended where it can be."""

from __future__ import annotations

from experiments.doctor.difference import Difference
from experiments.doctor.doctor import Diagnosis, diagnose

__all__ = ["Diagnosis", "Difference", "diagnose"]
