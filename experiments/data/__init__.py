"""Data sets: which there are, and how they become arrays on disk that can be mapped into memory."""

from assay.experiments.data.generated import GENERATED
from assay.experiments.data.known import KNOWN, KnownSet
from assay.experiments.data.preparation import Preparation, PreparedData, prepare, start_preparing
from assay.experiments.data.process import PreparationError
from assay.experiments.data.registry import check_task, summaries, training_images
from assay.experiments.data.settings import DataSettings
from assay.experiments.data.source import default_data_dir
from assay.experiments.data.toy_sets import GeneratedSet

__all__ = [
    "GENERATED",
    "KNOWN",
    "DataSettings",
    "GeneratedSet",
    "KnownSet",
    "Preparation",
    "PreparationError",
    "PreparedData",
    "check_task",
    "default_data_dir",
    "prepare",
    "start_preparing",
    "summaries",
    "training_images",
]
