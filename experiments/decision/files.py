"""Files of a study's finalists: networks, predictions, measures by class.

<home>/finalists/<study>/
    seed-<seed>.npz                   the network of a training, until its finalize has ended
    training-0003/predictions.npz     what it predicts for each test example
    training-0003/test.json           its measures by class
"""

from __future__ import annotations

import re
from pathlib import Path

from assay.models.files import delete_files
from assay.search.artifacts import Checkpoints

_PREDICTIONS, _REPORT = "predictions.npz", "test.json"
_FOLDER_NAME = re.compile(r"training-\d{4,}")
_FILE_NAME = re.compile(rf"{re.escape(_PREDICTIONS)}|{re.escape(_REPORT)}")


def predictions_file(folder: Path, training: int) -> Path:
    """Return the file with the predictions of a training.

    Args:
        folder: of the study's finalists.
        training: number of the training.
    """
    return folder / f"training-{training:04d}" / _PREDICTIONS


def report_file(folder: Path, training: int) -> Path:
    """Return the file with the measures of a training by class."""
    return predictions_file(folder, training).with_name(_REPORT)


def find_test_files(folder: Path, training: int) -> list[Path]:
    """Return the files that the test of a training left; links are no such files."""
    files = (predictions_file(folder, training), report_file(folder, training))
    return [
        file
        for file in files
        if not (folder.is_symlink() or file.parent.is_symlink() or file.is_symlink())
        and file.is_file()
    ]


def delete_finalists(folder: Path) -> Path | None:
    """Delete the files of a study's finalists; return the folder if more is in it."""
    if folder.is_dir() and not folder.is_symlink():
        for part in folder.iterdir():
            if _FOLDER_NAME.fullmatch(part.name) is not None:
                delete_files(part, _FILE_NAME)
    return Checkpoints(folder).delete()
