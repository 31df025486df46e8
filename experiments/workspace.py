"""Where results are written: home, its files, and the two stores.

Home is the folder of everything that running produces (`--home`, by default `./mlruns`).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from assay.models.errors import DamagedFile, RequestError
from assay.models.files import check_no_link, check_one_name, check_path_length, open_regular
from assay.search.journal import LONGEST_LINE_BYTES
from assay.search.system.files import absolute_path, check_current_folder, unwritable_error
from assay.search.system.urls import (
    is_database_at,
    is_server,
    register_secrets,
    sqlite_file,
    sqlite_url,
)

DEFAULT_HOME = "mlruns"
"""In the current folder."""

_LONGEST_NAME_BYTES = 200  # file systems allow 255, of which suffixes need some
# SQLite opens no file with a longer path, less the 8 bytes of "-journal" (SQLITE_MAX_PATHNAME).
_LONGEST_DATABASE_BYTES = 512 - 8
_PARTS = (
    *("journal", "models", "checkpoints", "finalists", "data", "artifacts", "reports"),
    *("user-mlflow", "user-mlflow/artifacts"),
)
_SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")
_DATABASES = ("optuna.db", "mlflow.db", "user-mlflow/mlflow.db")
_DATABASE_SUFFIXES = ("", "-journal", "-wal", "-shm")
_INSTANCE = re.compile(r"[2-9]|[1-9][0-9]{1,8}")
_FINALIZE_SUFFIX = "~finalize"  # no instance is called so: theirs are numbers
_SCHEME = re.compile(r"[a-zA-Z][\w+.-]*:")
_LONGEST_DATABASE = "user-mlflow/.mlflow-12345678/tables.db"  # in home; see `tracking.store`


@dataclass(frozen=True)
class Workspace:
    """The files of a home folder. Asking for a path creates nothing.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def storage(self) -> str:
        """Optuna's database in home, as a URL."""
        return sqlite_url(self._optuna_database)

    @property
    def tracking(self) -> str:
        """MLflow's database in home, as a URL."""
        return sqlite_url(self._mlflow_database)

    @property
    def _optuna_database(self) -> Path:
        return self.path / "optuna.db"

    @property
    def _mlflow_database(self) -> Path:
        return self.path / "mlflow.db"

    def owns_storage(self, storage: str) -> bool:
        """Return whether a storage is home's own, however its URL spells the path."""
        return is_database_at(storage, self._optuna_database)

    def owns_tracking(self, tracking_uri: str) -> bool:
        """Return whether a tracking store is home's own, however its URI spells the path."""
        return is_database_at(tracking_uri, self._mlflow_database)

    @property
    def artifacts(self) -> Path:
        """MLflow's artifacts in home."""
        return self.path / "artifacts"

    @property
    def user_mlflow(self) -> Path:
        """The folder for what a user's own code logs to MLflow in a worker."""
        return self.path / "user-mlflow"

    def journal(self, study: str, instance: int = 1) -> Path:
        """Return the journal of a study, or of one supervisor instance of it."""
        return self.path / "journal" / f"{file_name(study)}{_instance_suffix(instance)}.jsonl"

    def instances(self, study: str) -> list[int]:
        """Return the instance numbers of a study.

        These are the instances that have a journal or a lock, and always the first.
        """
        found = (
            path
            for kind in ("jsonl", "lock")
            for path in self.path.glob(f"journal/{file_name(study)}~*.{kind}")
        )
        numbers = {path.stem.rpartition("~")[2] for path in found}
        return [1, *sorted(int(number) for number in numbers if _INSTANCE.fullmatch(number))]

    def journals(self, study: str) -> list[Path]:
        """Return the journal of each instance of a study; some may not exist yet."""
        return [self.journal(study, instance) for instance in self.instances(study)]

    def models(self, study: str, instance: int = 1) -> Path:
        """Return the folder where models of the best trials wait until MLflow has them."""
        return self.path / "models" / f"{file_name(study)}{_instance_suffix(instance)}"

    def models_of_journal(self, journal: Path) -> list[Path]:
        """Return the folders of models of a journal's study: that of its instance first."""
        folder, (name, _, _) = self.path / "models", journal.stem.partition("~")
        return [folder / journal.stem, folder / name, *folder.glob(f"{name}~*")]

    def checkpoints(self, study: str) -> Path:
        """Return the folder with the checkpoints of a study's running trials."""
        return self.path / "checkpoints" / file_name(study)

    def finalize_journal(self, study: str) -> Path:
        """Return the journal of all finalizes of a study."""
        return self.path / "journal" / f"{file_name(study)}{_FINALIZE_SUFFIX}.jsonl"

    def finalists(self, study: str) -> Path:
        """Return the folder with the networks and the predictions of a study's finalists."""
        return self.path / "finalists" / file_name(study)

    def report(self, studies: Sequence[str]) -> Path:
        """Return the folder of the report about one study or several."""
        # `file_name` escapes a + of a study's name.
        name = "+".join(map(file_name, studies))
        return self.path / "reports" / (name if len(studies) == 1 else _shorten(name))

    def check(self) -> None:
        """Check that the folder can be created and written, without creating it.

        Raises:
            RequestError: it can't be a folder.
            SearchError: it can't be written.
        """
        path = self.path.absolute()
        existing = next(folder for folder in (path, *path.parents) if folder.exists())
        if not existing.is_dir():
            raise _not_a_folder(self.path, "not a directory")
        _check_access(existing, self.path)

    def check_links(self) -> None:
        """Check that no part of home is a symbolic link, and the databases are files of its own.

        Home may have been unpacked from an archive: a link would lead what is written elsewhere.
        So would a hard link, as in a copy by `cp -al`.

        Raises:
            DamagedFile: one is.
        """
        for name in _PARTS:
            check_no_link(self.path / name)
        for name in _DATABASES:
            for suffix in _DATABASE_SUFFIXES:
                check_no_link(self.path / f"{name}{suffix}")
                check_one_name(self.path / f"{name}{suffix}")
            _check_database_files(self.path / name)

    def create(self) -> None:
        """Create the folder.

        Raises:
            RequestError: it can't be a folder.
            SearchError: it can't be created or written, for example because the disk is full.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            failure = unwritable_error(f"home, {self.path},", error)
            raise failure or _not_a_folder(self.path, error.strerror) from None
        _check_access(self.path, self.path)


@dataclass(frozen=True)
class StorePaths:
    """Where a command reads data and writes results.

    Attributes:
        workspace: home.
        data_dir: folder of the data sets.
        storage: Optuna storage, as a URL.
        tracking_uri: MLflow tracking URI.
    """

    workspace: Workspace
    data_dir: Path
    storage: str
    tracking_uri: str

    @property
    def has_own_storage(self) -> bool:
        """Whether Optuna's storage is the one in home."""
        return self.workspace.owns_storage(self.storage)

    @property
    def has_own_tracking(self) -> bool:
        """Whether MLflow's store is the one in home."""
        return self.workspace.owns_tracking(self.tracking_uri)

    @classmethod
    def choose(
        cls,
        home: Path | str | None = None,
        data_dir: Path | str | None = None,
        storage: str | None = None,
        tracking_uri: str | None = None,
    ) -> StorePaths:
        """Fill in what is None from environment variables, else from defaults.

        The variables are ASSAY_HOME, ASSAY_DATA_DIR, ASSAY_STORAGE and MLFLOW_TRACKING_URI. The
        defaults are `./mlruns`, the Keras cache, and SQLite in home for both stores. From now on,
        messages mask the secrets in both URLs.

        Raises:
            RequestError: a path can't be one, home can't hold a store or has links, the tracking
                URI is a folder, or the current folder was removed.
        """
        check_current_folder()
        # Here, because it imports NumPy, which completing the name of a study has no time for.
        from assay.experiments.data.sources.base import default_data_dir

        variables = os.environ
        workspace = Workspace(
            absolute_path(home or variables.get("ASSAY_HOME") or DEFAULT_HOME, "home")
        )
        data = data_dir or variables.get("ASSAY_DATA_DIR")
        chosen = cls(
            workspace=workspace,
            data_dir=absolute_path(data, "data-dir") if data else default_data_dir(),
            storage=storage or variables.get("ASSAY_STORAGE") or workspace.storage,
            tracking_uri=tracking_uri or variables.get("MLFLOW_TRACKING_URI") or workspace.tracking,
        )
        workspace.check_links()
        register_secrets(chosen.storage)
        register_secrets(chosen.tracking_uri)
        _check_is_no_folder(chosen.tracking_uri)
        for url in (chosen.storage, chosen.tracking_uri):
            if (database := sqlite_file(url)) is not None:
                check_path_length(database, "an SQLite database")
                _check_database_files(database)
        if chosen.has_own_storage or chosen.has_own_tracking:
            _check_path_length(workspace.path)
        if not is_server(chosen.tracking_uri):  # a server has artifacts of its own
            _check_path_encoding(workspace.path)
        return chosen


def file_name(study: str) -> str:
    """Return a study's name as a file name.

    Characters that could lead out of the folder, or that a file system refuses, are escaped; a name
    that is too long is cut and gets a digest.
    """
    escaped = "".join(
        letter
        if letter.isalnum() or letter in "-_"
        else "".join(f"%{byte:02x}" for byte in letter.encode(errors="surrogatepass"))
        for letter in study
    )
    return _shorten(escaped, study)


def _shorten(name: str, digested: str | None = None) -> str:
    """Return a file name; of one that is too long, its beginning and a digest.

    Args:
        name: the name.
        digested: what the digest is of; None: the name.
    """
    if len(name.encode()) <= _LONGEST_NAME_BYTES:
        return name
    text = name if digested is None else digested
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{name.encode()[:100].decode(errors='ignore')}-{digest}"


def journal_names(workspace: Workspace) -> list[str]:
    """Return the studies that were run from a home.

    No store is opened.
    """
    return sorted(journal_experiments(workspace))


def journal_experiments(workspace: Workspace) -> dict[str, str]:
    """Return the experiment of each study that was run from a home, by the study's name."""
    experiments: dict[str, str] = {}
    for path in workspace.path.glob("journal/*.jsonl"):
        # The first line of a journal opens it; one that is being written may not be complete.
        with suppress(OSError, ValueError, KeyError, TypeError, RecursionError, DamagedFile):
            with open_regular(path, "rb") as journal:
                opened = json.loads(journal.readline(LONGEST_LINE_BYTES))
            study = opened["study"]  # None for a single training
            if isinstance(study, str) and file_name(study) == path.stem.partition("~")[0]:
                experiments[study] = str(opened["experiment"])
    return experiments


def _check_database_files(database: Path) -> None:
    """Check that an SQLite database and the files beside it are regular, if they exist.

    SQLite would wait at a pipe. Links are followed: users may link their databases.

    Raises:
        DamagedFile: one is not, or the rollback journal names another file.
    """
    for suffix in _DATABASE_SUFFIXES:
        path = Path(f"{database}{suffix}")
        try:
            mode = path.stat().st_mode
        except (OSError, ValueError):  # left to what opens it: it need not exist
            continue
        if not stat.S_ISREG(mode):
            raise DamagedFile(
                f"{path} must be a file, as a part of an SQLite database: it is no regular one; "
                "remove it, or give another address."
            )
    _check_rollback_journal(Path(f"{database}-journal"))


def _check_rollback_journal(path: Path) -> None:
    """Check that a rollback journal of SQLite does not name another file.

    SQLite deletes the file that is named at the journal's end, which is that of a transaction over
    several databases (https://www.sqlite.org/fileformat.html, "The Super-Journal Pointer"). There
    is none in home.

    Raises:
        DamagedFile: it does.
    """
    if "\0" in str(path):
        return  # no file has such a name: what opens it says so
    # What can't be read here can't be read by SQLite either. (Not ValueError: ours is one.)
    with suppress(OSError), open_regular(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(_SUPER_JOURNAL)))
        if file.read() == _SUPER_JOURNAL:
            raise DamagedFile(
                f"{path} must be of one database: it names another file, which SQLite would "
                "delete; remove it."
            )


def _instance_suffix(instance: int) -> str:
    return "" if instance == 1 else f"~{instance}"  # `file_name` escapes a ~ of the study's name


def _check_access(folder: Path, home: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        forbidden = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        raise unwritable_error(f"home, {home},", forbidden) or forbidden


def _check_is_no_folder(tracking_uri: str) -> None:
    """Check that a tracking URI is not a folder, which MLflow no longer writes to.

    Raises:
        RequestError: it is one.
    """
    # "databricks" is MLflow's only URI without a scheme.
    is_folder = tracking_uri.startswith("file:") or (
        _SCHEME.match(tracking_uri) is None and tracking_uri != "databricks"
    )
    is_allowed = os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in ("true", "1")
    if is_folder and not is_allowed:
        raise RequestError(
            "--tracking-uri must be a database or a server, because MLflow has given up its file "
            f"store; received {tracking_uri!r}: leave it out (and MLFLOW_TRACKING_URI), or write "
            "sqlite:////FOLDER/mlflow.db; 'mlflow migrate-filestore' copies the runs of a folder."
        )


def _check_path_length(home: Path) -> None:
    """Check that SQLite can open a database in a home.

    Raises:
        RequestError: its path is too long.
    """
    if len(os.fsencode(home / _LONGEST_DATABASE)) > _LONGEST_DATABASE_BYTES:
        most = _LONGEST_DATABASE_BYTES - len(_LONGEST_DATABASE) - 1
        raise RequestError(
            f"home must be a path of at most {most} bytes, because SQLite opens no longer one; "
            f"received {len(os.fsencode(home))} bytes, {home}: choose another with --home."
        )


def _check_path_encoding(home: Path) -> None:
    """Check that MLflow can write artifacts to a home.

    Raises:
        RequestError: its path is not UTF-8.
    """
    try:
        str(home).encode()
    except UnicodeEncodeError:
        raise RequestError(
            "home must be a path in UTF-8, because MLflow writes the artifacts of any other one "
            f"elsewhere; received {str(home)!r}: choose another with --home."
        ) from None


def _not_a_folder(path: Path, why: str | None) -> RequestError:
    return RequestError(
        f"home must be a folder that can be written: {path} can't ({why}); choose another with "
        "--home."
    )
