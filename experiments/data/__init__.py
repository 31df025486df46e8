"""Data sets: which there are, and how they become arrays on disk that can be mapped into memory."""

from experiments.data.count import training_images
from experiments.data.known import KNOWN, KnownSet
from experiments.data.preparation import Preparation, PreparedData, prepare, start_preparing
from experiments.data.process import PreparationError
from experiments.data.settings import DataSettings
from experiments.data.source import default_data_dir

__all__ = [
    "KNOWN",
    "DataSettings",
    "KnownSet",
    "Preparation",
    "PreparationError",
    "PreparedData",
    "default_data_dir",
    "prepare",
    "start_preparing",
    "training_images",
]
