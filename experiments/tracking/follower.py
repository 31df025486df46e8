"""The tracker: passes a study's journal on to MLflow.

MLflow may be late, never wrong. A cursor file beside the journal says how far MLflow has it. The
cursor moves after MLflow has taken the events, so after a crash a few of them are passed on again,
which `recorder.Recorder` makes harmless.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from assay.experiments.tracking.addresses import ArtifactGuard
from assay.experiments.tracking.cursor import Cursor
from assay.experiments.tracking.home_id import read_home_id
from assay.experiments.tracking.lookup import StoredModel
from assay.experiments.tracking.store import (
    check_artifacts_are_remote,
    create_user_store,
    open_client,
    prepared_tables,
)
from assay.experiments.workspace import Workspace
from assay.models.errors import DamagedFile
from assay.search.events import Event, StudyOpened
from assay.search.journal import read_events
from assay.search.system.files import unwritable_error, unwritable_reason
from assay.search.system.urls import first_line, is_server, scrub_secrets

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from assay.experiments.tracking.recorder import FindModel, FindTestFiles, Recorder

_BATCH_EVENTS = 500
_MAX_CAUSE_CHARACTERS = 300
# Events are collected for so long: a trial that ends within takes three calls to MLflow, not one
# more for each of its epochs.
_GATHER_SECONDS = 3.0
_RETRY_FIRST_SECONDS = 0.5
_RETRY_LAST_SECONDS = 15.0
_PATIENT_SECONDS = 60.0
_HURRIED_SECONDS = 2.0
_POLL_SECONDS = 0.02
# Found in the long messages that requests gives for a server that is down.
_DOWN_MESSAGES = (
    "Max retries exceeded",
    "Connection refused",
    "Connection aborted",
    "Read timed out",
)


class Cancelled(Exception):
    """The thread must write nothing more."""


class CancellationToken:
    """Permission to write, which another thread can withdraw.

    A thread cannot be ended from outside. A tracker that was given up may hang in a call for long;
    when the call returns, the token keeps its thread from writing beside the next tracker.
    """

    def __init__(self) -> None:
        self._is_cancelled = False
        self._lock = threading.Lock()

    def raise_if_cancelled(self) -> None:
        """Raise if the token was cancelled.

        Raises:
            Cancelled: it was.
        """
        if self._is_cancelled:
            raise Cancelled

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Enter for a short operation that `cancel` waits for.

        Raises:
            Cancelled: the token was cancelled.
        """
        with self._lock:
            self.raise_if_cancelled()
            yield

    def cancel(self) -> None:
        """Cancel the token; waits for a short operation."""
        with self._lock:
            self._is_cancelled = True


class CancellableClient:
    """An MLflow client that checks a token before each call.

    Args:
        client: the client.
        token: its `Cancelled` is raised in place of the call.
    """

    def __init__(self, client: object, token: CancellationToken) -> None:
        self._client = client
        self._token = token

    def __getattr__(self, name: str) -> Any:
        self._token.raise_if_cancelled()
        return getattr(self._client, name)


class MlflowTracker:
    """Passes the events of a journal on to an MLflow store.

    Args:
        journal: the journal, which need not exist yet. `on_event` wakes the tracker when it grows.
        tracking_uri: URL of a database, or address of an MLflow server.
        artifacts: folder for artifacts, used if the store is a database.
        find_model: returns the file of the model of a best trial, or of a re-training in the
            journal of a finalize; None: there are no models.
        user_store: folder of the store for what user code logs in workers, created with the other;
            None if no user code is run.
        find_test_files: returns the files of a re-training's test; None: there are none.

    Example:
        >>> tracker = MlflowTracker(journal.path, "sqlite:///mlflow.db", Path("artifacts"))
        >>> tracker.start()
        >>> tracker.wait_until_open()
        >>> journal.subscribe(tracker.on_event)
        >>> ...
        >>> tracker.close(hurry=False)  # None: MLflow has everything
    """

    def __init__(
        self,
        journal: Path,
        tracking_uri: str,
        artifacts: Path,
        find_model: FindModel | None = None,
        user_store: Path | None = None,
        find_test_files: FindTestFiles | None = None,
    ) -> None:
        self._journal = journal
        self._tracking_uri = tracking_uri
        self._artifacts = artifacts
        self._find_model = find_model
        self._user_store = user_store
        self._find_test_files = find_test_files
        self._may_open = threading.Event()
        self._is_abandoned = False
        # Set during `flush` and after `close`: their callers wait, so no events are gathered.
        self._waited_for = threading.Event()
        self._opened = threading.Event()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._finished = threading.Event()
        self._open_error: Exception | None = None
        self._store_error: str | None = None  # of the last attempt to pass events on
        self._token = CancellationToken()
        # Of events before this offset, the store may have some already.
        self._uncertain_bytes = 0
        # Where an earlier tracker was given up: it may be creating the runs of the batch there.
        self._given_up_at: int | None = None
        self._recorder: Recorder | None = None
        # A daemon, so that a call that hangs does not keep the process alive.
        self._thread = threading.Thread(target=self._run_thread, name="mlflow", daemon=True)

    def set_journal(self, journal: Path) -> None:
        """Follow another journal; only before the store is opened."""
        self._journal = journal

    def start(self) -> None:
        """Start the thread, which imports MLflow.

        It also creates the tables of a new store in a temporary folder. Both take seconds. Nothing
        is written to the store before `wait_until_open`.
        """
        self._thread.start()

    def wait_until_open(self) -> None:
        """Open the store, and follow the journal from now on.

        Raises:
            RequestError: the store can't be reached.
        """
        self._may_open.set()
        self._opened.wait()
        if self._open_error is not None:
            raise self._open_error

    def wait_for_parent_run(self, seconds: float) -> None:
        """Wait at most so long for the study's own run."""
        deadline = time.monotonic() + seconds
        while (
            self.parent_run_id is None
            and not self._finished.is_set()
            and time.monotonic() < deadline
        ):
            time.sleep(_POLL_SECONDS)

    def flush(self, seconds: float) -> str | None:
        """Wait at most so long until MLflow has what the journal has now.

        Returns:
            None, or why MLflow does not have it yet.
        """
        wanted, deadline = self._journal_bytes(), time.monotonic() + seconds
        self._waited_for.set()
        try:
            while self._cursor.offset < wanted:
                self._wake.set()
                if self._finished.is_set() or time.monotonic() > deadline:
                    return self._store_error or "it was too slow"
                time.sleep(_POLL_SECONDS)
        finally:
            if not self._closing.is_set():
                self._waited_for.clear()
        return None

    def close(
        self, hurry: bool, on_wait: Callable[[str], object] = lambda message: None
    ) -> str | None:
        """Wait until MLflow has the whole journal.

        The wait ends after a minute, or after 2 s in a hurry. After it the tracker begins no call,
        so another one may follow the journal. A call under way may still be carried out. The other
        tracker copes with that: it writes the same, and deletes a duplicate run.

        Args:
            hurry: whether the user is waiting.
            on_wait: called with a message if the store can't be reached and is waited for.

        Returns:
            None, or why MLflow does not have everything; the next tracker passes on the rest.
        """
        self._may_open.set()
        self._closing.set()
        self._waited_for.set()
        self._wake.set()
        if self._store_error is not None and not hurry:
            on_wait(
                f"waiting up to {_PATIENT_SECONDS:g} s for MLflow ({self._store_error}); "
                "Ctrl-C ends the wait"
            )
        if self._finished.wait(_HURRIED_SECONDS if hurry else _PATIENT_SECONDS):
            if self._open_error is not None:
                return summarize_store_error(self._open_error)
            return self._store_error
        self._token.cancel()
        return self._store_error or "it was too slow"

    def shut_down(self) -> None:
        """End the thread, in whatever state the tracker is.

        A tracker that may not open its store yet opens none. One that is open and was not closed
        has a few seconds to pass on the rest.
        """
        if not self._may_open.is_set():
            self._is_abandoned = True
            self._may_open.set()
        elif not self._is_abandoned and self._open_error is None and not self._closing.is_set():
            self.close(hurry=True)

    @property
    def parent_run_id(self) -> str | None:
        """The study's own run, once MLflow has it."""
        return None if self._recorder is None else self._recorder.parent_run_id

    def find_run_id(self, trial: int) -> str | None:
        """Return the run of a trial, or None.

        Runs of trials of earlier sweeps are found only after `close`.
        """
        if self._recorder is None:
            return None
        from mlflow.exceptions import MlflowException  # here, because importing it takes seconds

        try:
            # While the thread is at work, only it may call the store: the recorder is not
            # thread-safe.
            return self._recorder.find_run_id(trial, may_call=self._finished.is_set())
        except (MlflowException, OSError, Cancelled):  # the store can't be reached
            return None

    def find_model(self, trial: int, on_parent: bool) -> StoredModel:
        """Return what MLflow has of a best trial's model; only after `close`.

        Args:
            trial: number of the trial.
            on_parent: whether the study's own run is to have it, as with one objective.
        """
        if self._recorder is None or not self._finished.is_set():
            return StoredModel()
        from mlflow.exceptions import MlflowException  # here for the same reason

        try:
            return self._recorder.find_model(trial, on_parent)
        except (MlflowException, OSError, Cancelled):  # the store can't be reached
            return StoredModel()

    def on_event(self, event: Event) -> None:
        """Wake the thread: the journal has grown."""
        self._wake.set()

    # What follows runs in the thread.

    def _run_thread(self) -> None:
        try:
            self._recorder = self._open_store()
        except Exception as error:
            self._open_error = error  # raised by `wait_until_open`
            self._finished.set()
            return
        finally:
            self._opened.set()
        try:
            self._follow_journal(self._recorder)
        except Cancelled:
            pass  # the next tracker continues from the cursor
        except DamagedFile as error:
            self._store_error = str(error)
        except Exception:
            # A bug. The whole traceback is shown, but the search goes on: the journal has all.
            self._store_error = scrub_secrets(traceback.format_exc())
        finally:
            self._finished.set()

    def _open_store(self) -> Recorder:
        import mlflow  # noqa: F401 - here, because importing it takes seconds

        self._raise_if_abandoned()
        with prepared_tables(self._tracking_uri, self._user_store) as tables:
            self._may_open.wait()
            self._raise_if_abandoned()
            self._token.raise_if_cancelled()
            if self._user_store is not None:
                create_user_store(self._user_store, tables)
            client = open_client(self._tracking_uri, tables)
        check_artifacts_are_remote(client, self._tracking_uri)
        # Read only now: before `wait_until_open` the study is not locked, and its last supervisor
        # may still move the cursor.
        self._cursor = Cursor(self._journal.with_suffix(".tracked"), self._tracking_uri)
        if self._cursor.offset > self._journal_bytes():
            # A power cut took lines of epochs that MLflow has already: they are not synced. The
            # cursor may point into the middle of a new line, so all is passed on again.
            self._move_cursor(0)
        size = self._journal_bytes()
        self._uncertain_bytes = size
        self._given_up_at = self._cursor.offset if self._cursor.offset < size else None
        from assay.experiments.tracking.recorder import Recorder  # here, because it imports MLflow

        cancellable = cast("MlflowClient", CancellableClient(client, self._token))
        return Recorder(
            cancellable,
            ArtifactGuard(self._tracking_uri, self._artifacts),
            None if is_server(self._tracking_uri) else self._artifacts,
            self._find_model,
            self._find_test_files,
            read_home_id(Workspace(self._artifacts.parent)),
        )

    def _raise_if_abandoned(self) -> None:
        if self._is_abandoned:
            raise RuntimeError("the tracker was shut down before it opened its store")

    def _follow_journal(self, recorder: Recorder) -> None:
        """Pass on events until the tracker is closed."""
        from mlflow.exceptions import MlflowException

        pause_seconds, is_resumed = _RETRY_FIRST_SECONDS, False
        while True:
            # In this order: an event that comes after `clear` wakes the thread again, and what was
            # written before `close` is read below.
            self._wake.clear()
            is_closing = self._closing.is_set()
            try:
                is_resumed = is_resumed or self._resume_recorder(recorder)
                has_more = self._pass_on_batch(recorder)
                if is_closing and not has_more:
                    recorder.delete_duplicates()
                pause_seconds, self._store_error = _RETRY_FIRST_SECONDS, None
            except (MlflowException, OSError) as error:
                # The store can't be reached. Nothing is lost, because the journal has all of it.
                # The call that failed may have reached the store, so its runs are looked up anew.
                recorder.invalidate_runs()
                is_resumed, self._store_error = False, summarize_store_error(error)
                self._uncertain_bytes = self._journal_bytes()
                if self._closing.is_set() and unwritable_error("the store", error) is not None:
                    return  # a disk does not empty itself in a minute
                # Once the tracker is closing, it retries at the shortest interval.
                self._closing.wait(pause_seconds)
                time.sleep(_RETRY_FIRST_SECONDS)
                pause_seconds = min(2 * pause_seconds, _RETRY_LAST_SECONDS)
                continue
            if is_closing and not has_more:
                return
            if not has_more:
                self._wake.wait()
                self._waited_for.wait(_GATHER_SECONDS)

    def _resume_recorder(self, recorder: Recorder) -> bool:
        """Have the recorder look up the study at the cursor; return True.

        If the store has no runs of the study, the journal is passed on from its beginning.
        """
        opened: Event | None = None
        for event, end_offset in read_events(self._journal, only=[StudyOpened]):
            if end_offset > self._cursor.offset:
                break
            opened = event
        if isinstance(opened, StudyOpened) and not recorder.resume_study(opened):
            self._move_cursor(0)
        return True

    def _pass_on_batch(self, recorder: Recorder) -> bool:
        """Pass on the next events; return whether there may be more."""
        batch: list[Event] = []
        begin = end = self._cursor.offset
        for event, end_offset in read_events(self._journal, begin):
            batch.append(event)
            end = end_offset
            if len(batch) == _BATCH_EVENTS:
                break
        recorder.record(
            batch,
            may_be_recorded=begin < self._uncertain_bytes,
            may_race=begin == self._given_up_at,
        )
        # Only after MLflow has the events: a crash in between repeats them, and loses none.
        self._move_cursor(end)
        return bool(batch)

    def _journal_bytes(self) -> int:
        return self._journal.stat().st_size if self._journal.exists() else 0

    def _move_cursor(self, offset: int) -> None:
        # Held, because the next tracker of the journal writes the same file.
        with self._token.hold():
            self._cursor.move(offset)


def summarize_store_error(error: Exception) -> str:
    """Return in one line what is wrong with a store."""
    if (reason := unwritable_reason(error)) is not None:
        return reason
    if any(words in str(error) for words in _DOWN_MESSAGES):
        return "its server does not answer"
    return first_line(error)[:_MAX_CAUSE_CHARACTERS]
