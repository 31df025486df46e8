"""A tracking server that answers endlessly, slowly or with anything else: one line, no hang."""

from __future__ import annotations

import gzip
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assay.experiments.tracking import answers
from assay.experiments.tracking.lookup import search_experiments
from assay.models.errors import RequestError
from tests.helpers.command import SWEEP, invoke

RUN = "a" * 32


class Server(http.server.BaseHTTPRequestHandler):
    """Answers by a function; the first requests as an MLflow server does."""

    answer: Callable[[Server], None]
    good_answers = 0

    def do_GET(self) -> None:
        if type(self).good_answers > 0:
            type(self).good_answers -= 1
            send(b"{}")(self)
        else:
            type(self).answer(self)

    do_POST = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing: the command's output is looked at."""


def send(body: bytes, status: int = 200, **headers: str) -> Callable[[Server], None]:
    def answer(server: Server) -> None:
        server.send_response(status)
        for name, value in headers.items():
            server.send_header(name.replace("_", "-"), value)
        server.end_headers()
        server.wfile.write(body)

    return answer


def send_json(value: object, status: int = 200) -> Callable[[Server], None]:
    return send(json.dumps(value).encode(), status)


def redirect_slowly(server: Server) -> None:
    time.sleep(0.1)
    send(b"", 302, Location="/again")(server)


def send_endlessly(server: Server) -> None:
    send(b"{")(server)
    while True:
        server.wfile.write(b" " * 65536)


def drip_body(server: Server) -> None:
    send(b"{")(server)
    while True:
        server.wfile.write(b" ")
        server.wfile.flush()
        time.sleep(0.05)


def drip_headers(server: Server) -> None:
    server.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
    while True:
        server.wfile.write(b"a")
        server.wfile.flush()
        time.sleep(0.05)


HOSTILE: dict[str, Callable[[Server], None]] = {
    "endless": send_endlessly,
    "a bomb": send(gzip.compress(b" " * (8 << 20)), Content_Encoding="gzip"),
    "drop by drop": drip_body,
    "headers drop by drop": drip_headers,
    "silence": lambda server: time.sleep(4),
    "a number": send_json({"experiments": 5, "run": 5}),
    "a list": send_json([]),
    "a text": send_json("text"),
    "objects as ids": send_json(
        {"experiments": [{"experiment_id": {}}], "run": {"info": {"run_id": {}}}}
    ),
    "numbers as names": send_json({"experiments": [{"name": 7}], "run": {"info": {"run_id": 7}}}),
    "a page": send(b"<html>\x1b[2J</html>", Content_Type="text/html"),
    "no text": send(b"\xff\xfe{\x00"),
    "deeply nested": send(b"[" * 200_000),
    "nested in an object": send(b'{"experiments":' * 50_000),
    "a circle of redirects": send(b"", 302, Location="/again"),
    "a slow circle of redirects": redirect_slowly,
    "a list as the code of an error": send_json({"error_code": [1], "message": {}}, 400),
    "an object as the code of an error": send_json({"error_code": {"a": 1}}, 404),
    "a number as the code of an error": send_json({"error_code": 1e400, "message": None}, 500),
    "an unknown code of an error": send_json({"error_code": "\x1b[2J\nforged", "message": 1}, 403),
    "a list as the state of an error": send_json({"error_code": "NOT_FOUND", "sqlstate": []}, 400),
    "a list as an error": send_json([1], 400),
    "an error without words": send_json({}, 418),
    "a nested error": send(b'{"error_code":' * 50_000, 400),
    "no HTTP": lambda server: server.wfile.write(b"\x00\x01\x02\r\n") and None,
}


@contextmanager
def serving(answer: Callable[[Server], None], good_answers: int) -> Iterator[str]:
    handler = type("Handler", (Server,), {"answer": answer, "good_answers": good_answers})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        server.handle_error = lambda request, address: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("good_answers", [0, 1], ids=["first", "later"])
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_answer_is_one_line(
    case: str, good_answers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "_MOST_BYTES", 1 << 20)
    monkeypatch.setattr(answers, "_MOST_SECONDS", 0.6)
    with serving(HOSTILE[case], good_answers) as address:
        done = invoke("show", RUN, "--tracking-uri", address, "--home", str(tmp_path / "home"))
    assert "Traceback" not in done.err
    assert done.code in (1, 2), done
    assert done.err.splitlines()[-1].startswith("assay: "), done.err
    assert len(done.err.splitlines()) <= 2  # MLflow warns of what is no JSON
    assert done.err.replace("\n", "").isprintable()


def test_redirects_have_one_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_MOST_SECONDS", 0.4)
    served: list[str] = []

    def count(server: Server) -> None:
        served.append(server.path)
        redirect_slowly(server)

    with serving(count, good_answers=0) as address:
        done = invoke("show", RUN, "--tracking-uri", address, "--home", str(tmp_path / "home"))
    assert done.code == 2
    assert "took more than" in done.err
    assert len(served) < 12  # `requests` follows 30


@pytest.mark.parametrize("address", ["file:///srv/0", "/srv/0", "./mlruns/0"])
def test_a_server_that_keeps_artifacts_in_a_folder_is_refused(address: str, home: Path) -> None:
    default = {"experiment_id": "0", "name": "Default", "artifact_location": address}
    with serving(send_json({"experiment": default}), good_answers=0) as uri:
        done = invoke(*SWEEP, "--home", str(home), "--tracking-uri", uri)
    assert (done.code, done.out) == (2, "")
    assert f"received the folder {address}: start it with 'mlflow server" in done.err
    assert not (home / "optuna.db").exists()


class Pages(list[str]):
    def __init__(self, token: str | None) -> None:
        super().__init__(["entry"])
        self.token = token


@pytest.mark.parametrize("tokens", [["a"] * 3, ["a", "b", "a"]])
def test_the_same_page_again_is_one_line(tokens: list[str]) -> None:
    given = iter(tokens)
    client: Any = SimpleNamespace(search_experiments=lambda **asked: Pages(next(given)))
    with pytest.raises(RequestError, match="must give each page of an answer once"):
        list(search_experiments(client))


def test_pages_end_with_the_one_without_a_token() -> None:
    given = iter(["a", "b", None])
    client: Any = SimpleNamespace(search_experiments=lambda **asked: Pages(next(given)))
    assert len(list(search_experiments(client))) == 3
