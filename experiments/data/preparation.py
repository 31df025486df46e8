"""Having data prepared, by a process of its own: whoever asks imports neither scikit-learn nor
Keras.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Self

from assay.experiments.data.prepared_folder import Meta, find_damage, folder_for, read_meta, sweep
from assay.experiments.data.process import ChildProcess, Job
from assay.experiments.data.registry import check_task, locate
from assay.experiments.data.settings import DataSettings
from assay.models.tasks import Task


@dataclass(frozen=True)
class PreparedData(Meta):
    """A data set that is ready to be mapped into memory, and what is known of it.

    Attributes:
        folder: with x_train.npy, y_train.npy, x_validation.npy, y_validation.npy and meta.json.
        warnings: to be shown once, one line each.
    """

    folder: Path
    warnings: tuple[str, ...]


class Preparation:
    """A data set that is being prepared, or was there already. Used in a `with`, it is stopped at
    its end.
    """

    def __init__(
        self, settings: DataSettings, home: Path, data_dir: Path, base: Path, task: Task
    ) -> None:
        """Start a child unless the data set is there, by the sizes of its files; returns at once.

        Raises:
            RequestError: what can be seen to be wrong at once.
        """
        check_task(settings, task)
        self._home, self._settings, self._task = home, settings, task
        self._source = locate(settings, data_dir, base)
        self._warnings: list[str] = []
        self._child: ChildProcess | None = None
        self._paths = {"home": home, "data_dir": data_dir, "base": base}
        self._damage: str | None = None
        self._prepared = self._find()
        # Beside whatever else a start has to do: all of the data are read, which takes a moment.
        self._reading = threading.Thread(target=self._read, name="read-data", daemon=True)
        if self._prepared is None:
            self._start_child()
        else:
            self._reading.start()

    def result(self) -> PreparedData:
        """Wait for the data set; whatever is raised meanwhile, Ctrl-C too, ends the child.

        Raises:
            RequestError: the request was wrong: the child said so in one line.
            PreparationError: the child died.
        """
        if self._prepared is not None:
            self._reading.join()
            if self._damage is not None:
                self._warn_of_damage(self._prepared.folder, self._damage)
                self._prepared, self._damage = None, None
                self._start_child()
        if self._prepared is None:
            assert self._child is not None
            try:
                folder = Path(self._child.answer())
                meta = read_meta(folder)
            finally:
                self.stop()
            assert meta is not None, f"the child said that {folder} is whole"
            self._prepared = self._complete(folder, meta)
        return self._prepared

    def stop(self) -> None:
        """End the child if it runs, and remove what it left half-written."""
        if self._child is None:
            return
        self._child.stop()
        if self._source.is_there:
            sweep(folder_for(self._home, self._source, self._settings, self._task))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def _find(self) -> PreparedData | None:
        """Return the data set if it is there whole."""
        if not self._source.is_there:
            return None
        folder = folder_for(self._home, self._source, self._settings, self._task)
        try:
            meta = read_meta(folder)
        except ValueError as damage:
            self._warn_of_damage(folder, str(damage))
            return None
        return None if meta is None else self._complete(folder, meta)

    def _read(self) -> None:
        assert self._prepared is not None
        self._damage = find_damage(self._prepared.folder, self._prepared)

    def _warn_of_damage(self, folder: Path, damage: str) -> None:
        self._warnings.append(
            f"{folder} is damaged ({damage}): it is prepared anew from the same source."
        )

    def _start_child(self) -> None:
        absolute = {name: str(path.absolute()) for name, path in self._paths.items()}
        self._child = ChildProcess(
            Job(self._settings.model_dump(), self._task, **absolute, parent=os.getpid())
        )

    def _complete(self, folder: Path, meta: Meta) -> PreparedData:
        warnings = list(self._warnings)
        if self._source.known is not None and meta.unverified_reason is not None:
            warnings.append(f"{meta.name} is used unverified: {meta.unverified_reason}.")
        return PreparedData(
            **{field.name: getattr(meta, field.name) for field in fields(meta)},
            folder=folder,
            warnings=tuple(warnings),
        )


def start_preparing(
    settings: DataSettings,
    home: Path,
    data_dir: Path,
    base: Path | None = None,
    task: Task = "classification",
) -> Preparation:
    """Have a data set prepared while other things go on; `.result()` waits for it.

    Args:
        settings: the [data] table.
        home: the folder of everything that running produces; the data set goes to `<home>/data/`.
        data_dir: where known sets are kept as `<name>.npz`; read only, unless one must be fetched.
        base: what a relative PATH of the user's own is relative to, the folder of the experiment's
            file; None: the current.
        task: what it is for: labels are prepared otherwise than numbers.

    Raises:
        RequestError: what can be seen to be wrong at once.
    """
    return Preparation(settings, home, data_dir, Path.cwd() if base is None else base, task)


def prepare(
    settings: DataSettings,
    home: Path,
    data_dir: Path,
    base: Path | None = None,
    task: Task = "classification",
) -> PreparedData:
    """Have a data set prepared and wait for it; the arguments are those of `start_preparing`.

    Raises:
        RequestError: the request was wrong.
        PreparationError: the process that prepares it died.
    """
    return start_preparing(settings, home, data_dir, base, task).result()
