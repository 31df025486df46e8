"""What a worker process does: answer calls over its socket until the other end is gone."""

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

_LONGEST_LINE_CHARACTERS = 300  # some backends' messages go on for pages
_MISTAKES = (AssertionError, AttributeError, LookupError, NameError)
_OURS = Path(assay.models.__file__).parent


def serve(connection: socket.socket, make_trainer: Callable[[], Trainer]) -> None:
    """Answer the supervisor's calls, one at a time, until it hangs up.

    A call that raises is answered with the exception: that a trial can't be trained is no reason to
    die.
    """
    # Ctrl-C reaches every process of the terminal; what it means is the supervisor's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _die_with(connection)
    trainer = make_trainer()
    send_message(connection, {"ready": os.getpid()})
    inbox = Inbox(connection)
    while not inbox.at_end:
        for request in inbox.receive():
            send_message(connection, answer(trainer, request))


def answer(trainer: Trainer, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the reply to one request: what the trainer's method returned, or what it raised."""
    try:
        value = getattr(trainer, request["method"])(**request["arguments"])
    except Exception as error:
        return _raised(error)
    if request["method"] == "batch":
        answers = [_raised(one) if isinstance(one, Exception) else {"value": one} for one in value]
        value = {"answers": answers}
    return {"value": value or {}, "resident_bytes": psutil.Process().memory_info().rss}


def _raised(error: Exception) -> dict[str, Any]:
    refused = isinstance(error, RequestError)
    line = str(error) if refused else traceback.format_exception_only(error)[-1]
    return {
        "error": " ".join(line.split())[: None if refused else _LONGEST_LINE_CHARACTERS],
        "text": "".join(traceback.format_exception(error)),
        "request": refused,
        "out_of_memory": is_out_of_memory(error),
        "bug": _is_our_bug(error),
    }


def _is_our_bug(error: Exception) -> bool:
    """Whether Assay's own code went wrong: a mistake of a program, made in the innermost frame of
    the traceback.

    Other kinds of exception are how backends refuse a configuration; they hide their own frames, so
    that ours would seem to be the innermost.
    """
    frames = traceback.extract_tb(error.__traceback__)
    ours = bool(frames) and Path(frames[-1].filename).is_relative_to(_OURS)
    return ours and isinstance(error, _MISTAKES)


def _die_with(connection: socket.socket) -> None:
    """End this process as soon as the supervisor's end of the socket is closed, even in the middle
    of an epoch.
    """

    def watch() -> None:
        poller = select.poll()
        poller.register(connection, getattr(select, "POLLRDHUP", 0) | select.POLLHUP)
        poller.poll()
        os._exit(0)

    threading.Thread(target=watch, name="watch-supervisor", daemon=True).start()
