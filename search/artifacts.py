"""Where the model of a study's best trial is kept while the study runs: one file, not one a
trial.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from assay.search.events import BestTrial, Closing, StudyClosed
from assay.search.objective import Values
from assay.search.workers.protocol import Trial

_OF_TRIAL = re.compile(r"\.?trial-(\d+)")  # with a dot before it while a worker is still writing it


class ModelStore:
    """A folder of `.keras` files by trial number.

    A worker writes a trial's file before the trial is recorded as ended, so the file is under the
    trial's own number: the model of the best so far is never overwritten by one that might not be
    recorded.

    Args:
        folder: the shelf's own.
        others: returns those of other supervisors of the study, whose trials may be among the best
            too.
    """

    def __init__(self, folder: Path, others: Callable[[], Iterable[Path]] = tuple) -> None:
        self._folder = folder
        self._others = others

    def path(self, number: int) -> Path:
        """Return where a trial's model goes; the folder is there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"trial-{number:04d}.keras"

    def find(self, number: int) -> Path | None:
        """Return the file of a trial's model, if it was kept, by whomever."""
        files = (folder / f"trial-{number:04d}.keras" for folder in (self._folder, *self._others()))
        return next((file for file in files if file.exists()), None)

    def clear(self, keep: Set[int]) -> None:
        """Delete the models of all other trials."""
        for path in self._folder.glob("*.keras"):
            name = _OF_TRIAL.match(path.name)
            if name is not None and int(name[1]) not in keep:
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the shelf and what is on it."""
        shutil.rmtree(self._folder, ignore_errors=True)


# Where trainings under way are kept, so that an interrupted one goes on from its last epoch.


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a study, a file a configuration: a trial and its redos and retries share
    their seed.

    Args:
        folder: of the study's own.
    """

    folder: Path

    def path(self, trial: Trial) -> Path:
        """Return the file of a trial; its folder is made if it is not there yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"seed-{trial.seed}.npz"

    def forget(self, trial: Trial) -> None:
        """Remove the file of a trial that nobody will go on with."""
        for suffix in (".npz", ".partial"):  # the latter of a worker that was killed as it wrote
            (self.folder / f"seed-{trial.seed}{suffix}").unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self.folder, ignore_errors=True)


# How a study, or a single run, is closed: with its best trials, and where their models lie.


def closing_of(
    closing: Closing, best_trials: Mapping[int, Values], model_store: ModelStore
) -> StudyClosed:
    """Return the event that closes it, whoever does that: its supervisor, or who comes after one
    that died.

    Args:
        closing: how it ended.
        best_trials: the best complete trial with its values by its number; with several objectives
            the Pareto front.
        model_store: where their models are.
    """
    found = {number: model_store.find(number) for number in best_trials}
    models = {number: None if model is None else str(model) for number, model in found.items()}
    return StudyClosed(
        closing=closing,
        best=tuple(BestTrial(one, best_trials[one], models[one]) for one in best_trials),
    )
