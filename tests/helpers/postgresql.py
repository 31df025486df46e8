"""A real PostgreSQL server that can be stopped and started again."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.helpers.ports import free_port
from tests.helpers.waiting import GUARD_SECONDS

_DEBIAN = Path("/usr/lib/postgresql")
_NOBODY = (
    "postgres"  # user of the server if the tests run as root, as whom PostgreSQL refuses to start
)


def missing() -> str | None:
    """Return why PostgreSQL is not available, or None."""
    if _find("initdb") is None:
        return "needs PostgreSQL: apt-get install postgresql"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "needs psycopg: pip install 'psycopg[binary]'"
    return None


class PostgreSQL(AbstractContextManager["PostgreSQL"]):
    """A server on the loopback address with a temporary folder and a fixed port."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._user: dict[str, Any] = (
            {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
        )
        if self._user:
            shutil.chown(self._folder, _NOBODY, _NOBODY)
        self.port = free_port()
        self._databases = 0
        self._call(
            "initdb", "-D", self._data, "-U", "assay", "-A", "trust", "-E", "UTF8", "--no-sync"
        )
        self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def new(self) -> str:
        """Create an empty database; return its URL."""
        self._databases += 1
        name = f"assay{self._databases}"
        self._call("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "assay", name)
        return f"postgresql+psycopg://assay@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start the server; return once it accepts connections."""
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 "
            f"-c unix_socket_directories={self._folder}"
        )
        log = str(self._folder / "log")
        self._call("pg_ctl", "-D", self._data, "-l", log, "-w", "-t", "60", "-o", options, "start")

    def stop(self) -> None:
        """Stop a running server at once, without a clean shutdown."""
        self._call("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop", check=False)

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _call(self, program: str, *arguments: str, check: bool = True) -> None:
        found = _find(program)
        assert found is not None
        done = subprocess.run(
            [found, *arguments],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            text=True,
            timeout=GUARD_SECONDS,
            **self._user,
        )
        assert done.returncode == 0 or not check, f"{program}: {done.stderr}"


def _find(program: str) -> str | None:
    folders = [str(folder / "bin") for folder in sorted(_DEBIAN.glob("*"), reverse=True)]
    return shutil.which(program, path=os.pathsep.join([*folders, os.environ.get("PATH", "")]))
