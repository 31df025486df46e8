"""The permit to write of a thread, which whoever no longer waits for the thread withdraws."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Withdrawn(Exception):
    """What was about to be written must not be any more."""


class Permit:
    """Lets write until it is withdrawn."""

    def __init__(self) -> None:
        self._is_withdrawn = False
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raise what stops a thread that must not go on.

        Raises:
            Withdrawn: the permit was withdrawn.
        """
        if self._is_withdrawn:
            raise Withdrawn

    @contextmanager
    def held(self) -> Iterator[None]:
        """Enter for something short, which whoever withdraws the permit waits for.

        Raises:
            Withdrawn: the permit was withdrawn.
        """
        with self._lock:
            self.check()
            yield

    def withdraw(self) -> None:
        """Let nothing more be begun; what MLflow is at just now may yet be done."""
        with self._lock:
            self._is_withdrawn = True


class PermittedClient:
    """A client, each call of which needs a permit.

    Args:
        client: what is called.
        permit: looked at before every call, which raises `Withdrawn` without it.
    """

    def __init__(self, client: object, permit: Permit) -> None:
        self._client = client
        self._permit = permit

    def __getattr__(self, name: str) -> Any:
        self._permit.check()
        return getattr(self._client, name)
