"""Serving the MLflow UI on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import webbrowser
from typing import IO

import click

from assay.experiments.tracking.addresses import check_addresses, update_addresses
from assay.experiments.tracking.lookup import (
    find_best_runs,
    list_tracked_studies,
    read_experiment_tags,
)
from assay.experiments.tracking.pages import comparison_page, view_page, view_tag
from assay.experiments.tracking.schema import STATE_TAG, STUDY_ID_TAG
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError, SearchError
from assay.models.files import temporary_folder
from assay.models.names import suggestion
from assay.search.system.signals import StopRequest
from assay.search.system.urls import absolute_store, is_server, public_address

HOST = "127.0.0.1"
COMPARED_RUNS = 20
"""Runs on the comparison page, which is slow to load beyond a hundred."""

_START_SECONDS = 60.0
_POLL_SECONDS = 0.2
_PORTS_TRIED = 100
_BLOCKED_PORTS = (5060, 5061)  # browsers open no page there: the ports are those of SIP


def study_page(store_paths: StorePaths, study: str) -> str:
    """Return the path of the page with the best trials of a study.

    It is the study's saved view. A study of an earlier release has none, and one without a complete
    trial shows nothing there: of these the page compares the best runs, and MLflow chooses what it
    plots.

    Raises:
        RequestError: the store has no trials of such a study.
    """
    runs = find_best_runs(store_paths, study, COMPARED_RUNS)
    if not runs:
        studies = list_tracked_studies(store_paths)
        if study in studies:
            raise RequestError(
                f"study {study!r} has no trials to compare yet: 'assay ui' alone opens the UI."
            )
        raise RequestError(
            f"there is no study {study!r}: there is {', '.join(studies) or 'none yet'}."
            f"{suggestion(study, studies)}"
        )
    best = runs[0]
    experiment_id, study_id = str(best.info.experiment_id), best.data.tags[STUDY_ID_TAG]
    is_complete = best.data.tags.get(STATE_TAG) == "complete"
    if is_complete and view_tag(study_id) in read_experiment_tags(store_paths, experiment_id):
        return f"/{view_page(experiment_id, study_id)}"
    experiments = sorted({str(run.info.experiment_id) for run in runs})
    return f"/{comparison_page([str(run.info.run_id) for run in runs], experiments)}"


def serve_ui(store_paths: StorePaths, page: str, port: int, opens_browser: bool) -> int:
    """Serve the UI until Ctrl-C, and print a page's address.

    An MLflow server has its own UI: then its address is printed, without login and options, and
    nothing is served. The browser asks for a login if the server needs one.

    Args:
        store_paths: whose store.
        page: path of the page, empty for the first one.
        port: the port, or the next free one.
        opens_browser: open the page in the browser too.

    Returns:
        The exit code: 0 after Ctrl-C.

    Raises:
        RequestError: no port is free, or a server's address can't be told from its login.
        SearchError: the server does not start, ends by itself, or lost its port to another program.
    """
    if is_server(store_paths.tracking_uri):
        _open_page(public_address(store_paths.tracking_uri) + page, opens_browser)
        return 0
    store_paths.workspace.create()
    # The server reads artifacts wherever the addresses lead.
    if (relocation := update_addresses(store_paths.workspace)) is not None:
        click.echo(f"{relocation}, which are changed to this home", err=True)
    if store_paths.has_own_tracking:
        check_addresses(store_paths.workspace)
    free_port = _find_free_port(port)
    address = f"http://{HOST}:{free_port}"
    command = [sys.executable, "-P", "-m", "mlflow", "ui"]
    environment = {
        # Not as an option: every user of the machine can read options, and the URL may hold a
        # password.
        "MLFLOW_BACKEND_STORE_URI": absolute_store(store_paths.tracking_uri),
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # saves seven processes
    }
    # The log matters only if the server does not start. It runs in an empty folder: uvicorn puts
    # the current one first on the import path, where a file may be called mlflow.py.
    with (
        temporary_folder("ui") as folder,
        tempfile.TemporaryFile() as log,
        StopRequest() as stop,
    ):
        server = subprocess.Popen(
            # One worker is enough for one user, and starts sooner than MLflow's four.
            [*command, "--host", HOST, "--port", str(free_port), "--workers", "1"],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,  # a process group, so that `_stop_server` ends its workers too
        )
        try:
            _wait_for_server(address, server, stop, log)
            if not stop:
                _check_owner(free_port, server)
                _open_page(address + page, opens_browser)
                click.echo("Press Ctrl-C to stop.", err=True)
            while not stop and server.poll() is None:
                time.sleep(_POLL_SECONDS)
            if not stop:
                raise SearchError(f"the MLflow UI ended by itself: {_last_line(log)}")
        finally:
            _stop_server(server)
    return 0 if stop.signal in (None, signal.SIGINT) else stop.exit_code


def _open_page(address: str, opens_browser: bool) -> None:
    click.echo(address)
    if opens_browser:
        webbrowser.open(address)


def _find_free_port(first: int) -> int:
    for port in range(first, min(first + _PORTS_TRIED, 65536)):
        # A blocked port is taken only if the user asks for it: another client may open it.
        if port in _BLOCKED_PORTS and port != first:
            continue
        with socket.socket() as probe:
            # Without this, a port that a server has just left counts as taken for a minute.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise RequestError(
        f"no port from {first} to {first + _PORTS_TRIED - 1} is free on {HOST}: "
        "choose another with --port."
    )


def _wait_for_server(
    address: str, server: subprocess.Popen[bytes], stop: StopRequest, log: IO[bytes]
) -> None:
    """Wait for the server, or for the user to stop.

    Raises:
        SearchError: the server ended, or did not answer in time.
    """
    deadline = time.monotonic() + _START_SECONDS
    # Without the user's proxy, which cannot reach this machine's loopback address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline and server.poll() is None and not stop:
        try:
            with opener.open(f"{address}/health", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(_POLL_SECONDS)
    if not stop:
        raise SearchError(f"the MLflow UI did not start: {_last_line(log)}")


def _check_owner(port: int, server: subprocess.Popen[bytes]) -> None:
    """Check that our server listens on a port.

    Another program may have taken the port after it was found free, and show any page there.

    Raises:
        SearchError: our server does not listen there.
    """
    import psutil  # here, so that --help need not import it

    # The server is the first process of its group; the workers that it forks are the others.
    listening = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == server.pid:
                listening |= {
                    (connection.laddr.ip, connection.laddr.port)
                    for connection in process.net_connections("tcp4")
                    if connection.status == psutil.CONN_LISTEN
                }
    if (HOST, port) not in listening:
        raise SearchError(
            f"port {port} on {HOST} must be that of our own MLflow UI; another program took it: "
            "run the command again, or choose another with --port."
        )


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "its log is empty"


def _stop_server(server: subprocess.Popen[bytes]) -> None:
    """End the server and its worker processes."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=5)
            return
