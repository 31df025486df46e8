"""`assay ui` starts a real MLflow server on the loopback address and stops it."""

from __future__ import annotations

import http.server
import os
import signal
import subprocess
import threading
import urllib.parse
import urllib.request
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from tests.helpers.command import ASSAY, Swept, invoke
from tests.helpers.ports import free_port
from tests.helpers.waiting import GUARD_SECONDS, wait_until


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_it_serves_the_view_of_the_best_trials_until_stopped(
    swept: Swept, number: signal.Signals, code: int, tmp_path: Path
) -> None:
    # Modules of MLflow's server in the current folder must not be run.
    for module in ("uvicorn", "gunicorn", "click", "mlflow"):
        (tmp_path / f"{module}.py").write_text("open('harm', 'w')\n")
    command = [
        *ASSAY,
        "ui",
        "digits-mlp",
        "--no-open",
        "--home",
        str(swept.home),
        "--port",
        str(free_port()),
    ]
    proxy = {
        "http_proxy": "http://127.0.0.1:9",
        "no_proxy": "",
    }  # cannot reach the loopback address
    ui = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **proxy},
    )
    try:
        assert ui.stdout is not None
        address = ui.stdout.readline().strip()
        with urllib.request.urlopen(address, timeout=GUARD_SECONDS) as page:
            assert page.status == 200
            assert b"MLflow" in page.read()
        children = psutil.Process(ui.pid).children(recursive=True)
        listening = {
            connection.laddr.ip
            for process in children
            for connection in process.net_connections()
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}
    finally:
        ui.send_signal(number)
        left = ui.wait(timeout=GUARD_SECONDS)
    assert left == code
    assert not (tmp_path / "harm").exists()
    wait_until(
        lambda: (
            not any(
                child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children
            )
        )
    )

    base, _, path = address.partition("/#/")
    assert base.startswith("http://127.0.0.1:")
    client = MlflowClient(swept.answer["tracking_uri"])
    parent = client.get_run(swept.answer["parent_run_id"])
    query = urllib.parse.parse_qs(path.partition("?")[2])
    (view,) = query["viewStateShareKey"]
    experiment = client.get_experiment(parent.info.experiment_id)
    assert f"mlflow.sharedViewState.{view}" in experiment.tags
    assert view == f"assay-{parent.data.tags['assay.study_id']}"


def test_a_server_that_ends_by_itself_is_a_failure(swept: Swept) -> None:
    options = ("--no-open", "--home", str(swept.home), "--port", str(free_port()))
    ui = subprocess.Popen(
        [*ASSAY, "ui", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert ui.stdout is not None
        ui.stdout.readline()  # the server answers
        (server,) = psutil.Process(ui.pid).children()
        server.kill()
        _, err = ui.communicate(timeout=GUARD_SECONDS)
    finally:
        ui.kill()
    assert ui.returncode == 1
    assert err.splitlines()[-1].startswith("assay: the MLflow UI ended by itself: ")


def test_a_page_of_another_program_on_the_port_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Foreign(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Print nothing: the command's output is looked at."""

    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Foreign) as foreign:
        threading.Thread(target=foreign.serve_forever, daemon=True).start()
        port = foreign.server_port
        # The port was free when it was looked for.
        monkeypatch.setattr("assay.experiments.tracking.ui._find_free_port", lambda first: first)
        done = invoke("ui", "--home", str(tmp_path / "home"), "--port", str(port))
        foreign.shutdown()
    assert (done.code, done.out, opened) == (1, "", [])
    (line,) = done.err.splitlines()
    assert line.startswith(f"assay: port {port} on 127.0.0.1 must be that of our own MLflow UI")
