"""Home: the folder of everything that running produces."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from assay.experiments.data.source import default_data_dir
from assay.models.errors import RequestError
from assay.search.system.files import unwritable
from assay.search.system.urls import keep_secret

_LONGEST_NAME_BYTES = 200  # file systems take 255, of which the endings need some


@dataclass(frozen=True)
class Workspace:
    """Where things lie under a home folder. Nothing is created by asking."""

    path: Path

    @property
    def storage(self) -> str:
        """Optuna's database, as a URL."""
        return f"sqlite:///{self.path / 'optuna.db'}"

    @property
    def tracking(self) -> str:
        """MLflow's database, as a URL."""
        return f"sqlite:///{self.path / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """MLflow's artifacts."""
        return self.path / "artifacts"

    def journal(self, study: str, instance: int = 1) -> Path:
        """Return the journal of a study: that of the only supervisor, or of one of several at the
        same time.
        """
        return self.path / "journal" / f"{file_name(study)}{_instance_suffix(instance)}.jsonl"

    def instances(self, study: str) -> list[int]:
        """Return the instances of a study that have a journal, or a lock until they have one, and
        always the first.
        """
        found = (
            path
            for kind in ("jsonl", "lock")
            for path in self.path.glob(f"journal/{file_name(study)}~*.{kind}")
        )
        numbers = {path.stem.rpartition("~")[2] for path in found}
        return [1, *sorted(int(number) for number in numbers if number.isdecimal())]

    def journals(self, study: str) -> list[Path]:
        """Return the journals of a study, one a instance; of some there may be none yet."""
        return [self.journal(study, instance) for instance in self.instances(study)]

    def models(self, study: str, instance: int = 1) -> Path:
        """Return the folder in which the model of a study's best trial waits to be logged."""
        return self.path / "models" / f"{file_name(study)}{_instance_suffix(instance)}"

    def checkpoints(self, study: str) -> Path:
        """Return the folder in which a study's trials under way are kept."""
        return self.path / "checkpoints" / file_name(study)

    def check(self) -> None:
        """See that the folder could be made and written, making none.

        Raises:
            RequestError: it can't be a folder.
            SearchError: it may not be written.
        """
        there = next(
            path for path in (self.path.absolute(), *self.path.absolute().parents) if path.exists()
        )
        if not there.is_dir():
            raise _no_folder(self.path, "not a directory")
        _check_access(there, self.path)

    def create(self) -> None:
        """Make the folder.

        Raises:
            RequestError: it can't be a folder.
            SearchError: it can't be made or may not be written, since the disk is full, say.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(f"home, {self.path},", error) or _no_folder(
                self.path, error.strerror
            ) from None
        _check_access(self.path, self.path)


def _instance_suffix(instance: int) -> str:
    return "" if instance == 1 else f"~{instance}"  # no study's file has a ~ of its own


def _check_access(there: Path, home: Path) -> None:
    if not os.access(there, os.W_OK | os.X_OK):
        forbidden = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        raise unwritable(f"home, {home},", forbidden) or forbidden


def _no_folder(path: Path, why: str | None) -> RequestError:
    return RequestError(
        f"home must be a folder that can be written: {path} can't ({why}); choose another with --home."
    )


def file_name(study: str) -> str:
    """Return a study's name as a file name: what could lead out of the folder, or trip a file
    system, is escaped.
    """
    escaped = "".join(
        letter if letter.isalnum() or letter in "-_" else f"%{ord(letter):02x}" for letter in study
    )
    if len(escaped.encode()) <= _LONGEST_NAME_BYTES:
        return escaped
    return f"{escaped.encode()[:100].decode(errors='ignore')}-{hashlib.sha256(study.encode()).hexdigest()[:16]}"


# Where things are read and written, filled in from variables and defaults.


@dataclass(frozen=True)
class StorePaths:
    """Home, data sets, Optuna's storage and MLflow's store."""

    workspace: Workspace
    data_dir: Path
    storage: str
    tracking_uri: str

    @classmethod
    def choose(
        cls,
        home: Path | str | None = None,
        data_dir: Path | str | None = None,
        storage: str | None = None,
        tracking_uri: str | None = None,
    ) -> StorePaths:
        """Take what is given, else ASSAY_HOME, ASSAY_DATA_DIR, ASSAY_STORAGE and
        MLFLOW_TRACKING_URI, else defaults.

        The defaults are `./mlruns`, the Keras cache, and SQLite in home for both stores. What is
        secret in the addresses of stores is shown to nobody from now on.
        """
        place = Workspace(
            Path(home or os.environ.get("ASSAY_HOME") or "mlruns").expanduser().resolve()
        )
        data = data_dir or os.environ.get("ASSAY_DATA_DIR")
        found = cls(
            workspace=place,
            data_dir=Path(data).expanduser().resolve() if data else default_data_dir(),
            storage=storage or os.environ.get("ASSAY_STORAGE") or place.storage,
            tracking_uri=tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or place.tracking,
        )
        keep_secret(found.storage)
        keep_secret(found.tracking_uri)
        return found


# The studies that a home has journals of, told without opening a store.


def journal_names(home: Workspace) -> list[str]:
    """Return the names of the studies that were run from a home."""
    return sorted(journal_experiments(home))


def journal_experiments(home: Workspace) -> dict[str, str]:
    """Return the experiment of each study that was run from a home, from the first line of its
    journal.
    """
    experiments = {}
    for path in home.path.glob("journal/*.jsonl"):
        # A line that is not whole yet names nobody.
        with suppress(OSError, ValueError, KeyError), path.open(encoding="utf-8") as journal:
            opened = json.loads(journal.readline())
            if opened["study"] is not None:  # as that of a single run is
                experiments[opened["study"]] = opened["experiment"]
    return experiments
