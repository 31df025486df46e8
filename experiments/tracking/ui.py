"""The MLflow UI: served on the loopback address, and the addresses of its pages."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import webbrowser
from typing import IO

import click

from assay.experiments.tracking.lookup import best_runs, study_names
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError, SearchError
from assay.models.names import suggestion
from assay.search.system.signals import StopRequest

HOST = "127.0.0.1"
BEST = 20  # the comparison page crawls beyond a hundred runs
_START_SECONDS = 60.0
_LOOK_UP_SECONDS = 0.2
_REFUSED_PORTS = (5060, 5061)  # browsers open no page there: they belong to telephony


def comparison(store_paths: StorePaths, study: str) -> str:
    """Return the page that compares a study's best trials, as the part of the address behind the
    server.

    Raises:
        RequestError: the store has no trials of a study of that name.
    """
    runs = best_runs(store_paths, study, BEST)
    if not runs:
        known = study_names(store_paths)
        if study in known:
            raise RequestError(
                f"study {study!r} has no trials to compare yet: 'assay ui' alone shows what there is."
            )
        raise RequestError(
            f"there is no study {study!r}: there is {', '.join(known) or 'none yet'}.{suggestion(study, known)}"
        )
    experiments = sorted({run.info.experiment_id for run in runs})
    query = {
        "runs": json.dumps([run.info.run_id for run in runs]),
        "experiments": json.dumps(experiments),
    }
    return f"/#/compare-runs?{urllib.parse.urlencode(query, quote_via=urllib.parse.quote)}"


def serve(store_paths: StorePaths, page: str, port: int, opening: bool) -> int:
    """Serve the UI until Ctrl-C; print a page's address and open it once the server answers.

    A store that is an MLflow server has its own UI: its address is printed and nothing is served.
    """
    if store_paths.tracking_uri.startswith("http"):
        _show(store_paths.tracking_uri.rstrip("/") + page, opening)
        return 0
    store_paths.workspace.create()
    free = _free_port(port)
    address = f"http://{HOST}:{free}"
    command = [sys.executable, "-P", "-m", "mlflow", "ui"]
    known = {
        "MLFLOW_BACKEND_STORE_URI": store_paths.tracking_uri,  # not as an option: everybody can see those
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # seven processes that nothing here uses
    }
    # What the server tells of itself is of interest only when it does not start.
    with tempfile.TemporaryFile() as log, StopRequest() as stop:
        server = subprocess.Popen(
            # One process is enough for one person, and is up sooner than MLflow's four.
            [*command, "--host", HOST, "--port", str(free), "--workers", "1"],
            env={**os.environ, **known},
            stdout=log,
            stderr=log,
            start_new_session=True,  # so that its whole family can be ended together
        )
        try:
            _wait_until_up(address, server, stop, log)
            if not stop:
                _show(address + page, opening)
                click.echo("Ctrl-C ends it.", err=True)
            while not stop and server.poll() is None:
                time.sleep(_LOOK_UP_SECONDS)
        finally:
            _end(server)
    return 0 if stop.signal in (None, signal.SIGINT) else stop.exit_code


def _show(address: str, opening: bool) -> None:
    click.echo(address)
    if opening:
        webbrowser.open(address)


def _free_port(wanted: int) -> int:
    """Return the first free port from the wanted one on."""
    for port in range(wanted, min(wanted + 100, 65536)):
        if port in _REFUSED_PORTS and port != wanted:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise RequestError(
        f"no port from {wanted} to {wanted + 99} is free on {HOST}: name another with --port."
    )


def _wait_until_up(
    address: str, server: subprocess.Popen[bytes], stop: StopRequest, log: IO[bytes]
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None and not stop:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(_LOOK_UP_SECONDS)
    if not stop:
        log.seek(0)
        words = log.read().decode(errors="replace").strip().splitlines()[-1:]
        raise SearchError(f"the MLflow UI did not start: {' '.join(words) or 'it said nothing'}")


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server and the processes it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=5)
            return
