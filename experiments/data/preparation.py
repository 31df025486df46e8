"""Prepares a data set in another process, so that the caller imports no heavy library."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from assay.experiments.data.child_process import ChildProcess, PreparationJob
from assay.experiments.data.lookup import check_task, locate_source
from assay.experiments.data.prepared_folder import (
    PreparedMeta,
    find_damage,
    prepared_folder_path,
    read_prepared_meta,
    remove_partial_folder,
)
from assay.experiments.data.settings import DataSettings
from assay.models.tasks import Task


class PreparedData(PreparedMeta):
    """A prepared data set, whose arrays can be memory-mapped.

    Attributes:
        folder: the prepared folder; `assay.experiments.data.prepared_folder` lists its files.
        warnings: warnings about the copy of the data, one line each.
        unused: names of arrays or entries beside the data that nothing reads.
    """

    folder: Path
    warnings: tuple[str, ...]
    unused: tuple[str, ...]

    def find_warnings(self, scale: str) -> tuple[str, ...]:
        """Return all warnings for the user, one line each: `warnings`, and what the numbers say.

        Args:
            scale: the scale that is used, a name under `scales`.
        """
        return (*self.warnings, *self.findings[scale])


class Preparation:
    """The preparation of a data set in another process.

    As a context manager it is stopped at the end of the block.

    Example:
        with Preparation(settings, home, data_dir, base, "classification") as preparation:
            ...  # anything that needs no data
            data = preparation.result()
    """

    def __init__(
        self, settings: DataSettings, home: Path, data_dir: Path, base: Path, task: Task
    ) -> None:
        """Start a process, unless the prepared folder exists with files of the right sizes.

        Raises:
            RequestError: the request is wrong, as far as can be told without reading the data.
        """
        check_task(settings, task)
        self._home, self._settings, self._task = home, settings, task
        self._source = locate_source(settings, data_dir, base)
        self._paths = {"home": home, "data_dir": data_dir, "base": base}
        self._warnings: list[str] = []
        self._child: ChildProcess | None = None
        self._damage: str | None = None
        self._prepared = self._find_prepared()
        # An existing folder is hashed in a thread, beside whatever else the start has to do.
        self._verification = threading.Thread(target=self._verify, name="verify-data", daemon=True)
        if self._prepared is None:
            self._start_child()
        else:
            self._verification.start()

    def result(self) -> PreparedData:
        """Wait for the prepared data. Any exception meanwhile, also Ctrl-C, ends the process.

        Raises:
            RequestError: the request was wrong.
            SearchError: home could not be written, or memory ran out.
            PreparationError: the process was killed.
            WorkerBug: the process failed; the message has its traceback.
        """
        if self._prepared is not None:
            self._verification.join()
            # The sizes were right and the contents are not: the data set is prepared again.
            if self._damage is not None:
                self._warn_of_damage(self._prepared.folder, self._damage)
                self._prepared, self._damage = None, None
                self._start_child()
        if self._prepared is None:
            assert self._child is not None
            try:
                folder = Path(self._child.wait_for_answer())
                meta = read_prepared_meta(folder)
            finally:
                self.stop()
            assert meta is not None, f"the process answered with {folder}, which does not exist"
            self._prepared = self._complete(folder, meta)
        return self._prepared

    def stop(self) -> None:
        """End the process, and remove what it left half-written."""
        if self._child is None:
            return
        self._child.stop()
        # Before a download the folder's path is unknown: it depends on the downloaded file.
        if self._source.is_available:
            remove_partial_folder(self._folder_path())

    def __enter__(self) -> Self:
        """Return the preparation."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def _folder_path(self) -> Path:
        return prepared_folder_path(self._home, self._source, self._settings, self._task)

    def _find_prepared(self) -> PreparedData | None:
        """Return the prepared data if its folder exists with files of the right sizes."""
        if not self._source.is_available:
            return None
        folder = self._folder_path()
        try:
            meta = read_prepared_meta(folder)
        except ValueError as damage:
            self._warn_of_damage(folder, str(damage))
            return None
        return None if meta is None else self._complete(folder, meta)

    def _verify(self) -> None:
        assert self._prepared is not None
        self._damage = find_damage(self._prepared.folder, self._prepared)

    def _warn_of_damage(self, folder: Path, damage: str) -> None:
        self._warnings.append(
            f"{folder} is damaged ({damage}): it is prepared again from the same source."
        )

    def _start_child(self) -> None:
        absolute_paths = {name: str(path.absolute()) for name, path in self._paths.items()}
        self._child = ChildProcess(
            PreparationJob(
                self._settings.model_dump(), self._task, **absolute_paths, parent=os.getpid()
            )
        )

    def _complete(self, folder: Path, meta: PreparedMeta) -> PreparedData:
        warnings = list(self._warnings)
        # Generated data and your own have nothing to be compared with: no warning.
        if self._source.is_published and meta.unverified_reason is not None:
            warnings.append(f"{meta.name} is used unverified: {meta.unverified_reason}.")
        return PreparedData(
            **{name: getattr(meta, name) for name in PreparedMeta.model_fields},
            folder=folder,
            warnings=tuple(warnings),
            # Not of meta.json: what lies beside the data changes without the data.
            unused=self._source.list_unused(),
        )


def start_preparing(
    settings: DataSettings,
    home: Path,
    data_dir: Path,
    base: Path | None = None,
    task: Task = "classification",
) -> Preparation:
    """Start to prepare a data set; `.result()` of the preparation waits for it.

    Args:
        settings: the [data] table.
        home: the folder of everything that running produces; the data goes to `<home>/data/`.
        data_dir: the folder where published data sets are kept as `<name>.npz`; written only by a
            download.
        base: the folder that a relative PATH starts from, that of the experiment's file; None for
            the current folder.
        task: the task that the data is for.

    Raises:
        RequestError: the request is wrong, as far as can be told without reading the data.
    """
    return Preparation(settings, home, data_dir, Path.cwd() if base is None else base, task)


def prepare(
    settings: DataSettings,
    home: Path,
    data_dir: Path,
    base: Path | None = None,
    task: Task = "classification",
) -> PreparedData:
    """Prepare a data set and wait for it; the arguments are those of `start_preparing`.

    Raises:
        RequestError: the request was wrong.
        SearchError: home could not be written, or memory ran out.
        PreparationError: the process that prepares the data was killed.
        WorkerBug: that process failed; the message has its traceback.

    Example:
        data = prepare(DataSettings(name="digits"), home=Path("mlruns"), data_dir=Path("data"))
        x_train = np.load(data.folder / "x_train.npy", mmap_mode="r")
    """
    return start_preparing(settings, home, data_dir, base, task).result()
