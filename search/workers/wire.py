"""Messages between our own processes: one JSON object a line over a Unix socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    """Send a message whole.

    Raises:
        OSError: the other end is gone.
    """
    connection.sendall(json.dumps(message).encode() + b"\n")


class Inbox:
    """Puts what arrives on a socket together into messages."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""
        self.at_end = False

    def receive(self) -> Iterator[dict[str, Any]]:
        """Read once (blocking if the socket does) and yield the messages complete by then; `at_end` after the last."""
        try:
            received = self._connection.recv(1 << 16)
        except BlockingIOError:
            return
        except ConnectionError:
            received = b""
        self.at_end = not received
        *lines, self._buffer = (self._buffer + received).split(b"\n")
        for line in lines:
            yield json.loads(line)
