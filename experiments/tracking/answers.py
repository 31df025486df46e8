"""Limits of bytes, time and form of a tracking server's answers.

MLflow reads an answer whatever its size, and waits as long as a byte comes every few seconds.
"""

from __future__ import annotations

import functools
import io
import threading
import time
from collections.abc import Callable
from typing import Any

import mlflow.utils.request_utils
import mlflow.utils.rest_utils
from mlflow.exceptions import MlflowException
from requests import PreparedRequest, Response, Session
from requests.exceptions import RequestException, Timeout

_MOST_BYTES = 64 << 20  # a page of 1,000 runs has a few MB
_MOST_SECONDS = 60.0
_LEAST_BYTES_PER_SECOND = 100_000  # of an upload, such as a model
_CHUNK_BYTES = 1 << 16

_is_limited = False
_request = threading.local()  # the deadline of the one that this thread has sent


def limit_answers() -> None:
    """Limit all further answers of tracking servers in this process.

    It replaces an adapter and functions of MLflow (3.17). A release without them stays as it is.
    """
    global _is_limited
    requests_module, rest_module = mlflow.utils.request_utils, mlflow.utils.rest_utils
    names = ("TCPKeepAliveHTTPAdapter", "_cached_get_request_session")
    if _is_limited or not all(hasattr(requests_module, name) for name in names):
        return
    _is_limited = True
    requests_module.TCPKeepAliveHTTPAdapter = _make_adapter(requests_module.TCPKeepAliveHTTPAdapter)
    create_session = requests_module._cached_get_request_session
    create_session.cache_clear()

    @functools.cache
    def create_limited_session(*arguments: Any, **options: Any) -> Session:
        return _limit_redirects(create_session(*arguments, **options))

    requests_module._cached_get_request_session = create_limited_session
    for name in ("parse_dict", "verify_rest_response"):  # of good answers, and of errors
        if hasattr(rest_module, name):
            setattr(rest_module, name, _refuse_other_forms(getattr(rest_module, name)))


def _refuse_other_forms(read: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that reads an answer as `read` does, and fails as MLflow's functions do."""

    @functools.wraps(read)
    def read_checked(*arguments: Any, **options: Any) -> Any:
        try:
            return read(*arguments, **options)
        except MlflowException:
            raise
        # What protobuf and MLflow raise for a wrong type, also below a list or an object.
        except Exception as error:
            reason = " ".join(str(error).split())[:100]
            raise MlflowException(
                f"API request failed: the answer is not that of an MLflow server ({reason})"
            ) from None

    return read_checked


def _limit_redirects(session: Session) -> Session:
    """Give a request and all its redirects one deadline; `requests` follows up to 30."""
    send = session.send

    def send_in_time(request: PreparedRequest, **options: Any) -> Response:
        if hasattr(_request, "deadline"):  # a redirect, for which `requests` calls this again
            return send(request, **options)
        _request.deadline = time.monotonic() + _allowed_seconds(request)
        try:
            return send(request, **options)
        finally:
            del _request.deadline

    session.send = send_in_time  # type: ignore[method-assign]
    return session


def _make_adapter(base: type[Any]) -> type[Any]:
    class LimitedAdapter(base):  # type: ignore[misc]
        """An adapter that reads a bounded answer in bounded time."""

        def send(
            self, request: PreparedRequest, stream: bool = False, *others: Any, **options: Any
        ) -> Response:
            answers: list[Response | BaseException] = []

            def exchange() -> None:
                try:
                    response = super(LimitedAdapter, self).send(request, stream, *others, **options)
                    if not stream:
                        _read_body(response, deadline)
                    answers.append(response)
                except BaseException as error:
                    answers.append(error)

            # In a thread: a socket's timeout counts from its last byte, and headers may come drop
            # by drop too. A thread that is left ends with the process.
            seconds = _allowed_seconds(request)
            deadline = getattr(_request, "deadline", time.monotonic() + seconds)
            thread = threading.Thread(target=exchange, name="mlflow-request", daemon=True)
            thread.start()
            thread.join(max(0.0, deadline - time.monotonic()))
            if not answers:
                raise Timeout(f"the answer took more than {seconds:.0f} s", request=request)
            (answer,) = answers
            if isinstance(answer, BaseException):
                raise answer
            return answer

    return LimitedAdapter


def _allowed_seconds(request: PreparedRequest) -> float:
    length = "0" if request.headers is None else request.headers.get("Content-Length", "0")
    return _MOST_SECONDS + (int(length) if length.isdigit() else 0) / _LEAST_BYTES_PER_SECOND


def _read_body(response: Response, deadline: float) -> None:
    """Replace the body of a response by its bytes.

    Raises:
        RequestException: it is too large, or takes too long.
    """
    body = io.BytesIO()
    # `read1` returns with what has come; `read` waits for as many bytes as it is asked for.
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
        body.write(chunk)
        if body.tell() > _MOST_BYTES:
            response.raw.close()
            raise RequestException(f"the answer has more than {_MOST_BYTES >> 20} MB")
        if time.monotonic() > deadline:
            response.raw.close()
            return
    response.raw.release_conn()
    body.seek(0)
    response.raw = body
