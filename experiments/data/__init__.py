"""Data sets: which there are, and how they become arrays on disk that can be mapped into memory."""

from experiments.data.count import training_images
from experiments.data.generated import GENERATED
from experiments.data.generated_set import GeneratedSet
from experiments.data.known import KNOWN, KnownSet
from experiments.data.listing import summaries
from experiments.data.preparation import Preparation, PreparedData, prepare, start_preparing
from experiments.data.process import PreparationError
from experiments.data.settings import DataSettings
from experiments.data.source import default_data_dir
from experiments.data.suits import check_task

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
