"""Follows a study's journal and passes it on to MLflow, from a thread of its own.

MLflow may be late, never wrong. How far the journal has been passed on is kept in a file beside it,
written after MLflow has taken the events; so after a crash a few are passed on once more, and
`record.Recorder` makes that harmless.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from assay.experiments.tracking.store import open_client, tables_aside
from assay.search.events import Event, StudyOpened
from assay.search.journal import read
from assay.search.system.files import unwritable, why_unwritable
from assay.search.system.urls import masked, scrubbed

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from assay.experiments.tracking.recorder import Recorder


# The token to write of a thread, which whoever no longer waits for the thread withdraws.


class Cancelled(Exception):
    """What was about to be written must not be any more."""


class CancellationToken:
    """Lets write until it is withdrawn."""

    def __init__(self) -> None:
        self._is_cancelled = False
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raise what stops a thread that must not go on.

        Raises:
            Cancelled: the token was withdrawn.
        """
        if self._is_cancelled:
            raise Cancelled

    @contextmanager
    def held(self) -> Iterator[None]:
        """Enter for something short, which whoever withdraws the token waits for.

        Raises:
            Cancelled: the token was withdrawn.
        """
        with self._lock:
            self.check()
            yield

    def cancel(self) -> None:
        """Let nothing more be begun; what MLflow is at just now may yet be done."""
        with self._lock:
            self._is_cancelled = True


class CancellableClient:
    """A client, each call of which needs a token.

    Args:
        client: what is called.
        token: looked at before every call, which raises `Cancelled` without it.
    """

    def __init__(self, client: object, token: CancellationToken) -> None:
        self._client = client
        self._token = token

    def __getattr__(self, name: str) -> Any:
        self._token.check()
        return getattr(self._client, name)


_BATCH_EVENTS = 500
_CAUSE_CHARACTERS = 300
_GATHER_SECONDS = 3.0  # a trial that ends within takes three calls of MLflow, not one for each of its epochs as well
_RETRY_FIRST_SECONDS = 0.5
_RETRY_LAST_SECONDS = 15.0
_PATIENT_SECONDS = 60.0
_HURRIED_SECONDS = 2.0
_LOOK_SECONDS = 0.02


_SILENT = ("Max retries exceeded", "Connection refused", "Connection aborted", "Read timed out")
"""What requests says, pages of it, of a server that is away."""


class MlflowTracker:
    """Passes a journal on to an MLflow store.

    Args:
        journal: the file to follow, whether it is there yet or not; `on_event` wakes the tracker
            when it grows.
        tracking_uri: the store: a database URL or the address of an MLflow server.
        artifacts: the folder for artifacts where the store is a database; a server has its own.
    """

    def __init__(self, journal: Path, tracking_uri: str, artifacts: Path) -> None:
        self._journal = journal
        self._tracking_uri = tracking_uri
        self._artifacts = artifacts
        self._allowed = threading.Event()
        self._abandoned = False
        self._opened = threading.Event()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._finished = threading.Event()
        self._failure: Exception | None = None  # to open the store
        self._trouble: str | None = None  # to pass events on
        self._token = CancellationToken()
        self._perhaps_known = 0  # the store may have what is in the journal up to this offset
        self._left_at: int | None = (
            None  # where another tracker of this journal may have been in the middle
        )
        self._recorder: Recorder | None = None
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)

    def follow(self, journal: Path) -> None:
        """Follow another file than was thought; before the store is opened."""
        self._journal = journal

    def start(self) -> None:
        """Start to import MLflow and to make what a new store needs, which takes seconds; nothing
        is written yet.
        """
        self._thread.start()

    def leave(self) -> None:
        """Let go of the store, whatever has happened: open none if none was allowed to be opened.

        A tracker that is open and was not closed has a few seconds to pass on what there is.
        """
        if not self._allowed.is_set():
            self._abandoned = True
            self._allowed.set()
        elif not self._abandoned and self._failure is None and not self._closing.is_set():
            self.close(hurry=True)

    def wait_until_open(self) -> None:
        """Open the store and follow the journal from now on; return once the store takes records.

        Raises:
            RequestError: it can't be reached.
        """
        self._allowed.set()
        self._opened.wait()
        if self._failure is not None:
            raise self._failure

    def close(
        self, hurry: bool, waiting: Callable[[str], object] = lambda note: None
    ) -> str | None:
        """Wait until everything in the journal is passed on: a minute, or a few seconds if somebody
        is waiting.

        After that nothing more is begun: another tracker may follow the journal at once. A call
        that MLflow is at then may yet be done. What it says, that one says too; if it makes a run,
        that one takes back which of the two it does not go on with.

        Args:
            hurry: whether somebody is waiting.
            waiting: told if the store is away.

        Returns:
            None, or why MLflow has not taken everything. It is told the rest the next time.
        """
        self._allowed.set()
        self._closing.set()
        self._wake.set()
        if self._trouble is not None and not hurry:
            waiting(
                f"MLflow is away ({self._trouble}): up to {_PATIENT_SECONDS:g} s for it; Ctrl-C ends the wait"
            )
        if self._finished.wait(_HURRIED_SECONDS if hurry else _PATIENT_SECONDS):
            return self._trouble if self._failure is None else _told(self._failure)
        self._token.cancel()
        return self._trouble or "it was too slow"

    def wait_for_parent(self, seconds: float) -> None:
        """Return once the study has its run, if it comes to have one so soon."""
        give_up_at = time.monotonic() + seconds
        while (
            self.parent_run_id is None
            and not self._finished.is_set()
            and time.monotonic() < give_up_at
        ):
            time.sleep(_LOOK_SECONDS)

    @property
    def parent_run_id(self) -> str | None:
        """The run of the study, once MLflow has it."""
        return None if self._recorder is None else self._recorder.parent_run_id

    def run_id(self, trial: int) -> str | None:
        """Return the run of a trial, once MLflow has it; of one of an earlier sweep, once this one
        is closed.
        """
        if self._recorder is None:
            return None
        from mlflow.exceptions import (
            MlflowException,
        )  # here, because importing MLflow takes seconds

        try:
            return self._recorder.run_id(trial, ask=self._finished.is_set())
        except (MlflowException, OSError, Cancelled):  # the store is away
            return None

    def on_event(self, event: Event) -> None:
        """Hear that the journal has grown."""
        self._wake.set()

    def _work(self) -> None:
        try:
            self._recorder = self._open()
        except Exception as error:
            self._failure = error
            self._finished.set()
            return
        finally:
            self._opened.set()
        try:
            self._follow(self._recorder)
        except Cancelled:
            pass  # nobody waits for it any more: the next tracker goes on from the cursor
        except Exception:
            self._trouble = scrubbed(
                traceback.format_exc()
            )  # a bug: shown whole, but no reason to lose the search
        finally:
            self._finished.set()

    def _open(self) -> Recorder:
        with tables_aside(self._tracking_uri) as made:
            self._allowed.wait()
            if self._abandoned:
                raise RuntimeError("nobody needs the store")
            self._token.check()
            client = open_client(self._tracking_uri, made)
        # Only now: until it may write, somebody else may be at work on the study.
        self._cursor = Cursor(self._journal.with_suffix(".tracked"), self._tracking_uri)
        if self._cursor.offset > self._size():
            self._move(
                0
            )  # a power cut took lines that MLflow had heard of; telling it again does no harm
        self._perhaps_known = self._size()
        self._left_at = self._cursor.offset if self._cursor.offset < self._size() else None
        from assay.experiments.tracking.recorder import Recorder  # here, because it imports MLflow

        permitted = cast("MlflowClient", CancellableClient(client, self._token))
        return Recorder(
            permitted, None if self._tracking_uri.startswith("http") else self._artifacts
        )

    def _move(self, offset: int) -> None:
        with self._token.held():
            self._cursor.move(offset)

    def _follow(self, recorder: Recorder) -> None:
        from mlflow.exceptions import MlflowException

        patience, known = _RETRY_FIRST_SECONDS, False
        while True:
            self._wake.clear()
            closing = self._closing.is_set()
            try:
                known = known or self._take_up(recorder)
                more = self._pass_on(recorder)
                if closing and not more:
                    recorder.delete_duplicates()
                patience, self._trouble = _RETRY_FIRST_SECONDS, None
            except (MlflowException, OSError) as error:
                # The store is away. Nothing is lost, the journal has it; which runs the store took
                # is asked anew.
                recorder.forget()
                known, self._trouble = False, _told(error)
                self._perhaps_known = self._size()
                if self._closing.is_set() and unwritable("the store", error) is not None:
                    return  # waiting makes no room
                self._closing.wait(patience)  # who is about to leave can't wait for long
                time.sleep(_RETRY_FIRST_SECONDS)
                patience = min(2 * patience, _RETRY_LAST_SECONDS)
                continue
            if closing and not more:
                return
            if not more:
                self._wake.wait()
                self._closing.wait(_GATHER_SECONDS)

    def _size(self) -> int:
        return self._journal.stat().st_size if self._journal.exists() else 0

    def _take_up(self, recorder: Recorder) -> bool:
        """Have the recorder know what of the journal the store has; if it has forgotten all, begin
        at the beginning.
        """
        opened: Event | None = None
        for event, behind in read(self._journal, only=[StudyOpened]):
            if behind > self._cursor.offset:
                break
            opened = event
        if isinstance(opened, StudyOpened) and not recorder.resume(opened):
            self._move(0)
        return True

    def _pass_on(self, recorder: Recorder) -> bool:
        """Pass on the next events; return whether there may be more."""
        batch: list[Event] = []
        begin = offset = self._cursor.offset
        for event, behind in read(self._journal, offset):
            batch.append(event)
            offset = behind
            if len(batch) == _BATCH_EVENTS:
                break
        recorder.record(batch, begin < self._perhaps_known, perhaps_twice=begin == self._left_at)
        self._move(offset)
        return bool(batch)


def _told(error: Exception) -> str:
    """Return in a line what is wrong with the store: the rest of what it says is of its insides."""
    if (why := why_unwritable(error)) is not None:
        return why
    said = scrubbed(str(error)).strip()
    if any(words in said for words in _SILENT):
        return "its server does not answer"
    return said.splitlines()[0][:_CAUSE_CHARACTERS] if said else type(error).__name__


class Cursor:
    """How far a journal has been passed on to one store, in bytes, kept in a file.

    Attributes:
        offset: as far as this.
        is_its_own: whether the file speaks of this store, or of none yet.
    """

    def __init__(self, path: Path, tracking_uri: str) -> None:
        self._path = path
        self._tracking_uri = masked(tracking_uri)
        self.offset, self.is_its_own = 0, True
        with contextlib.suppress(FileNotFoundError, ValueError):
            known = json.loads(path.read_text())
            # Another store has heard nothing of this study yet.
            self.is_its_own = known["tracking_uri"] == self._tracking_uri
            self.offset = known["offset"] if self.is_its_own else 0

    def move(self, offset: int) -> None:
        """Keep a new offset."""
        if offset == self.offset:
            return
        aside = self._path.with_suffix(".tracked-new")
        aside.write_text(json.dumps({"tracking_uri": self._tracking_uri, "offset": offset}))
        aside.replace(self._path)
        self.offset = offset
