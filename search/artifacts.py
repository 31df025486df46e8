"""Files of a study that its trials leave: models of the best, and checkpoints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from assay.models.files import delete_file, delete_files, is_regular, make_folder
from assay.search.events import BestTrial, Closing, StudyClosed
from assay.search.objective import Values
from assay.search.workers.protocol import Trial

# A worker writes the model to a hidden file first, whose name begins with a dot.
_MODEL_NAME = re.compile(r"\.?trial-(\d+)(?:-\d+)?\.keras")
_CHECKPOINT_NAME = re.compile(r"seed-\d+\.(?:npz|partial)")


class ModelStore:
    """Folder of the models of a study's best trials, one `.keras` file per trial.

    A worker writes the model before the trial is recorded as ended. It has a file of its own, so
    that a model which is never recorded cannot overwrite that of the best trial.

    Args:
        folder: the folder of this supervisor; created when it is needed.
        others: returns the folders of other supervisors of the study, whose trials may be among
            the best too.
    """

    def __init__(self, folder: Path, others: Callable[[], Iterable[Path]] = tuple) -> None:
        self._folder = folder
        self._others = others

    def path(self, number: int) -> Path:
        """Return the file for a trial's model; its folder is created.

        Raises:
            RequestError: the folder is a symbolic link.
        """
        make_folder(self._folder)
        return self._folder / _model_name(number)

    def find_model(self, number: int) -> Path | None:
        """Return the file of a trial's model, or None.

        It may lie in any supervisor's folder. Links are not followed.
        """
        files = (folder / _model_name(number) for folder in (self._folder, *self._others()))
        return next((file for file in files if is_regular(file)), None)

    def keep_only(self, numbers: Set[int]) -> None:
        """Delete the models in this supervisor's folder of all other trials.

        Links are not followed.
        """
        for path in self._folder.glob("*.keras"):
            # Other files in the folder are not ours to delete.
            name = _MODEL_NAME.fullmatch(path.name)
            if name is not None and int(name[1]) not in numbers:
                delete_file(path)

    def delete(self) -> Path | None:
        """Delete the models in this supervisor's folder; return the folder if more is in it."""
        return None if delete_files(self._folder, _MODEL_NAME) else self._folder


def _model_name(number: int) -> str:
    return f"trial-{number:04d}.keras"


@dataclass(frozen=True)
class Checkpoints:
    """Folder of the checkpoints of a study's unfinished trials.

    A trial and its redos and retries have the same seed, and so the same file.

    Args:
        folder: the folder; created when it is needed.
    """

    folder: Path

    def path(self, trial: Trial) -> Path:
        """Return the checkpoint file of a trial; its folder is created.

        Raises:
            RequestError: the folder is a symbolic link.
        """
        make_folder(self.folder)
        return self.folder / f"seed-{trial.seed}.npz"

    def discard(self, trial: Trial) -> None:
        """Delete the checkpoint of a trial that will not be tried again.

        Links are not followed.
        """
        # A worker that was killed while it wrote has left the partial file.
        for suffix in (".npz", ".partial"):
            delete_file(self.folder / f"seed-{trial.seed}{suffix}")

    def delete(self) -> Path | None:
        """Delete the checkpoints; return the folder if more is in it."""
        return None if delete_files(self.folder, _CHECKPOINT_NAME) else self.folder


def study_closed_event(
    closing: Closing,
    best_trials: Mapping[int, Values],
    model_store: ModelStore,
    tags: Mapping[str, str] = MappingProxyType({}),
) -> StudyClosed:
    """Return the event that closes a study.

    Its supervisor closes it; if that has died, the next sweep or `assay doctor` does.

    Args:
        closing: how the study ended.
        best_trials: values of the best trials by number.
        model_store: where their models are.
        tags: what the study shows, by MLflow tag.
    """
    best = []
    for number, values in best_trials.items():
        model = model_store.find_model(number)
        best.append(BestTrial(number, values, None if model is None else str(model)))
    return StudyClosed(closing=closing, best=tuple(best), tags=dict(tags))
