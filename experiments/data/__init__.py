"""Data sets: which there are, and how they become arrays that can be memory-mapped.

Where to start reading:

- `registry`: the table of sources; `sources/` has a module for each.
- `settings`: the [data] table of an experiment.
- `lookup`: what is known of a data set before it is prepared.
- `preparation`: starts a process that prepares a data set; `build` is what that process does.
- `centring`, `scaling`, `layout`, `split`, `targets`: what is done to the arrays; `findings`: what
  their numbers say against them.
- `prepared_folder`: the files of a prepared data set.
"""

from assay.experiments.data.child_process import PreparationError
from assay.experiments.data.lookup import (
    check_task,
    count_training_images,
    locate_source,
    read_input_shape,
)
from assay.experiments.data.preparation import Preparation, PreparedData, prepare, start_preparing
from assay.experiments.data.registry import SOURCES, get_source_entry, summarize_data_sets
from assay.experiments.data.settings import DataSettings
from assay.experiments.data.sources.base import Source, default_data_dir
from assay.experiments.data.sources.generated import GENERATED_SETS
from assay.experiments.data.sources.published import PUBLISHED_SETS

__all__ = [
    "GENERATED_SETS",
    "PUBLISHED_SETS",
    "SOURCES",
    "DataSettings",
    "Preparation",
    "PreparationError",
    "PreparedData",
    "Source",
    "check_task",
    "count_training_images",
    "default_data_dir",
    "get_source_entry",
    "locate_source",
    "prepare",
    "read_input_shape",
    "start_preparing",
    "summarize_data_sets",
]
