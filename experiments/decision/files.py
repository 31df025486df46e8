"""Files of a study's finalists: networks, predictions, measures by class.

<home>/finalists/<study>/
    seed-<seed>.npz                   the network of a training, until its finalize has ended
    training-0003/predictions.npz     what it predicts for each test example
    training-0003/test.json           its measures by class
    training-0003/model.keras         the leader's network, until MLflow has it
"""

from __future__ import annotations

import re
from pathlib import Path

from assay.models.files import delete_file, delete_files, is_regular
from assay.search.artifacts import Checkpoints

_PREDICTIONS, _REPORT, _NETWORK = "predictions.npz", "test.json", "model.keras"
_FOLDER_NAME = re.compile(r"training-\d{4,}")
# A worker writes the network to a hidden file first, whose name begins with a dot.
_NETWORK_NAME = re.compile(r"\.?model(?:-\d+)?\.keras")
_FILE_NAME = re.compile(rf"{re.escape(_PREDICTIONS)}|{re.escape(_REPORT)}|{_NETWORK_NAME.pattern}")


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


def network_file(folder: Path, training: int) -> Path:
    """Return the file for the network of a training that is to be registered."""
    return predictions_file(folder, training).with_name(_NETWORK)


def find_network(folder: Path, training: int) -> Path | None:
    """Return the file of a training's network, or None; links are no such files."""
    file = network_file(folder, training)
    return file if is_regular(file) else None


def delete_networks(folder: Path) -> None:
    """Delete the networks of a study's finalists, because MLflow has them; links are not followed.

    Args:
        folder: of the study's finalists.
    """
    for part in _training_folders(folder):
        for file in part.iterdir():
            if _NETWORK_NAME.fullmatch(file.name) is not None:
                delete_file(file)


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
    for part in _training_folders(folder):
        delete_files(part, _FILE_NAME)
    return Checkpoints(folder).delete()


def _training_folders(folder: Path) -> list[Path]:
    if not folder.is_dir() or folder.is_symlink():
        return []
    return [
        part
        for part in folder.iterdir()
        if _FOLDER_NAME.fullmatch(part.name) is not None and part.is_dir() and not part.is_symlink()
    ]
