"""Worker process: answers the supervisor's calls to its trainer until the supervisor is gone."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

import assay.models
from assay.models.errors import RequestError, is_out_of_memory
from assay.search.workers.protocol import Inbox, Trainer, send_message

_MAX_ERROR_CHARACTERS = 300  # messages of some backends have pages
_PROGRAMMING_ERRORS = (AssertionError, AttributeError, LookupError, NameError)
_MODELS_FOLDER = Path(assay.models.__file__).parent


def serve_calls(connection: socket.socket, make_trainer: Callable[[], Trainer]) -> None:
    """Answer calls, one at a time, until the supervisor closes the socket.

    A call that raises an exception is answered with it: the worker goes on.

    Args:
        connection: the worker's end of the socket.
        make_trainer: returns the trainer.
    """
    # Ctrl-C reaches every process of the terminal; the supervisor decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _exit_with_supervisor(connection)
    # Only now: making a trainer may take a while, in which the supervisor may die.
    trainer = make_trainer()
    send_message(connection, {"ready": os.getpid()})
    inbox = Inbox(connection)
    while not inbox.at_end:
        for call in inbox.receive():
            send_message(connection, answer_call(trainer, call))


def answer_call(trainer: Trainer, call: Mapping[str, Any]) -> dict[str, Any]:
    """Return the message for a call: the return value of the method, or its exception.

    Args:
        trainer: the trainer.
        call: {"method": name, "arguments": {name: value}}.
    """
    try:
        value = getattr(trainer, call["method"])(**call["arguments"])
    except Exception as error:
        return _exception_message(error)
    # A batch has an outcome per lane; an exception of one lane is not one of the call.
    if call["method"] == "batch":
        answers = [
            _exception_message(outcome) if isinstance(outcome, Exception) else {"value": outcome}
            for outcome in value
        ]
        value = {"answers": answers}
    return {"value": value or {}, "resident_bytes": psutil.Process().memory_info().rss}


def _encodable(text: str) -> str:
    """Return a text with halves of characters escaped: names of files may have such bytes."""
    return text.encode(errors="backslashreplace").decode()


def _exception_message(error: Exception) -> dict[str, Any]:
    """Return the fields of `Raised` for an exception."""
    is_request = isinstance(error, RequestError)
    line = str(error) if is_request else traceback.format_exception_only(error)[-1]
    return {
        "error": _encodable(
            " ".join(line.split())[: None if is_request else _MAX_ERROR_CHARACTERS]
        ),
        "text": _encodable("".join(traceback.format_exception(error))),
        "request": is_request,
        "out_of_memory": is_out_of_memory(error),
        "bug": _is_assay_bug(error),
    }


def _is_assay_bug(error: Exception) -> bool:
    """Return whether Assay's own code failed: a programming error whose innermost frame is ours.

    Backends raise other exceptions to refuse a configuration. They hide their own frames, so the
    innermost visible frame may be Assay's.
    """
    frames = traceback.extract_tb(error.__traceback__)
    is_ours = bool(frames) and Path(frames[-1].filename).is_relative_to(_MODELS_FOLDER)
    return is_ours and isinstance(error, _PROGRAMMING_ERRORS)


def _exit_with_supervisor(connection: socket.socket) -> None:
    """Exit when the supervisor's end of the socket closes.

    It exits even within an epoch.
    """

    def wait_and_exit() -> None:
        poller = select.poll()
        poller.register(connection, getattr(select, "POLLRDHUP", 0) | select.POLLHUP)
        poller.poll()
        os._exit(0)

    threading.Thread(target=wait_and_exit, name="watch-supervisor", daemon=True).start()
