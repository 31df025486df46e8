"""A real MLflow server that can be killed, stopped and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType

from tests.helpers.ports import free_port
from tests.helpers.waiting import GUARD_SECONDS


class MlflowServer(AbstractContextManager["MlflowServer"]):
    """A server on the loopback address with a temporary folder and a fixed port."""

    def __init__(self) -> None:
        self._kept = tempfile.TemporaryDirectory(
            prefix="mlflow-server-", ignore_cleanup_errors=True
        )
        self._folder = Path(self._kept.name)
        self._port = free_port()
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.kill()
        self._kept.cleanup()

    def start(self) -> None:
        """Start the server; return once it answers."""
        stores = ["--backend-store-uri", f"sqlite:///{self._folder / 'mlflow.db'}"]
        stores += ["--artifacts-destination", str(self._folder / "artifacts")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "mlflow",
                    "server",
                    *stores,
                    "--port",
                    str(self._port),
                    "--workers",
                    "1",
                ],
                cwd=self._folder,
                env={
                    **os.environ,
                    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                    "MLFLOW_DISABLE_TELEMETRY": "true",
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # one process group, to kill all its processes
            )
        give_up_at = time.monotonic() + GUARD_SECONDS
        while not self._answers():
            assert time.monotonic() < give_up_at, (self._folder / "log").read_text()[-2000:]
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill the server with all its processes."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop the server's processes: it accepts connections but does not answer."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Continue a frozen server; it answers pending requests first."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=1):
                return True
        except (urllib.error.URLError, OSError):
            return False
