"""Protocols and messages between a supervisor, its trial source and its workers."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from assay.search.events import TrialBegun, TrialEnded
from assay.search.objective import Values

Method = Literal["device", "check", "begin", "epoch", "finish", "drop", "test", "save", "batch"]
"""A method of `Trainer`; "batch" is that of a trainer with lanes (see `LaneExecutor`)."""

FollowUp = Literal["redo of", "retry of"]
REDO: Literal["redo of"] = "redo of"
"""Origin of a trial that trains the configuration of an interrupted one; its number follows."""
RETRY: Literal["retry of"] = "retry of"
"""Origin of a trial that trains the configuration of one whose worker died; its number follows."""


@dataclass(frozen=True)
class Trial:
    """A configuration to be trained.

    Attributes:
        number: Optuna's number of the trial.
        searched: the searched hyperparameters by name.
        seed: random seed of weights and batch order; a redo or a retry has that of the first trial.
        origin: where the configuration comes from: a sampler, the user, an earlier trial.
        attempt: number of attempts at this configuration, from 1; only the death of a worker makes
            another.
        retry_of: in a later attempt, the trial whose worker died.
        finalist: the trial whose configuration a finalize trains again; None in a search.
    """

    number: int
    searched: Mapping[str, Any]
    seed: int
    origin: str
    attempt: int = 1
    retry_of: int | None = None
    finalist: int | None = None

    def begun_event(self, hyperparameters: Mapping[str, Any]) -> TrialBegun:
        """Return the event that the trial has begun.

        Args:
            hyperparameters: every hyperparameter of the trial by name, searched or fixed.
        """
        return TrialBegun(
            trial=self.number,
            seed=self.seed,
            params=hyperparameters,
            searched=self.searched,
            origin=self.origin,
            attempt=self.attempt,
            retry_of=self.retry_of,
            finalist=self.finalist,
        )


class TrialSource(Protocol):
    """Source of trials, and record of their ends: a study, or a single configuration."""

    def ask(self) -> Trial | None:
        """Return the next trial; None if another supervisor has taken the last one."""

    def count_done(self) -> int:
        """Return the number of complete and pruned trials."""

    def has_next(self) -> bool:
        """Return whether there is another trial to ask for; a grid comes to an end."""

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Record the objective after an epoch; return whether to prune the trial."""

    def tell(self, end: TrialEnded) -> None:
        """Record the end of a trial."""

    def enqueue_retry(self, trial: Trial) -> None:
        """Enqueue the configuration of a trial whose worker died, as a new trial."""

    def admits(self, number: int, values: Values) -> bool:
        """Return whether a complete trial of these values would be among the best."""

    def best_trials(self) -> Mapping[int, Values]:
        """Return the values of the best trials by number: one, or the Pareto front."""


class Trainer(Protocol):
    """Trains a trial in a worker process.

    It trains one epoch per call, with plain values in and out.

    A worker trains nothing that the supervisor has not asked for. The supervisor's next call is
    its decision about the trial.
    """

    def device(self) -> dict[str, Any]:
        """Return {"device": the name of the device that this worker trains on}.

        Raises:
            RequestError: it is not the device that was requested.
        """

    def check(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Build the model of a trial, train it on a few examples, and discard it.

        Returns:
            {"parameters": as in `begin`, "metrics": the names of an epoch's metrics}.

        Raises:
            RequestError: the trial cannot be trained.
        """

    def begin(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Set up a trial.

        Args:
            spec: plain configuration of the trial.

        Returns:
            {"parameters": the number of weights}; also "resumed", the answers of earlier epochs, if
            the trial goes on from a checkpoint, and "note" about the data, if there is any.
        """

    def epoch(self) -> dict[str, Any]:
        """Train and validate an epoch.

        Returns:
            {"metrics": {name: value}, "seconds": wall time}; also {"lanes": number of trials} that
            trained together as one program, {"stopped": True} if the trial
            stops early, {"restored": {"epoch", "metrics"}} if the weights are now those of an
            earlier epoch, and {"unkept": why} if the checkpoint could not be written.
        """

    def finish(self, save_as: str | None) -> dict[str, Any]:
        """End the trial, and save its model if a file is named.

        Returns:
            The costs by name; also {"unsaved": why} if the model could not be saved.
        """

    def drop(self) -> None:
        """Discard the trial."""

    def test(
        self, spec: Mapping[str, Any], opening: Mapping[str, Any], save_as: str
    ) -> dict[str, Any]:
        """Measure the network of a trial's checkpoint on the test set.

        Only finalize calls this.

        Args:
            spec: as in `begin`, with a checkpoint.
            opening: where it is recorded that the test set is opened: {"journal", "opening"}.
            save_as: file for the predictions.

        Returns:
            {"metrics": {name: value}}.
        """

    def save(self, spec: Mapping[str, Any], save_as: str) -> dict[str, Any]:
        """Save the network of a trial's checkpoint as a model.

        Only finalize calls this.

        Args:
            spec: as in `begin`, with a checkpoint.
            save_as: file for the model.

        Returns:
            {}, or {"unsaved": why} if the model could not be saved.
        """


@dataclass(frozen=True)
class Reply:
    """The return value of a call."""

    worker: int
    value: Mapping[str, Any]


@dataclass(frozen=True)
class Raised:
    """A call that raised an exception; the worker lives.

    Attributes:
        worker: the worker that was called.
        error: the last line of the traceback, or the message of a `RequestError`.
        text: the traceback.
        request: whether it was a `RequestError`, which the user can correct.
        out_of_memory: whether memory ran out, of the machine or of the GPU.
        bug: whether Assay's own code is to blame.
    """

    worker: int
    error: str
    text: str
    request: bool = False
    out_of_memory: bool = False
    bug: bool = False


@dataclass(frozen=True)
class Died:
    """The end of a worker's process.

    Attributes:
        worker: the worker that died.
        how: name of the signal, or exit status.
        note: a likely cause, if one is known.
    """

    worker: int
    how: str
    note: str | None = None


Message = Reply | Raised | Died


class Executor(Protocol):
    """Sends calls to workers and returns their messages.

    Calls return at once. A worker has one call at a time.
    """

    def idle(self) -> Sequence[int]:
        """Return the workers that have started and have no trial."""

    def process(self, worker: int) -> int:
        """Return the number of a worker's process.

        Workers of one process may fail for one reason.
        """

    def call(self, worker: int, method: Method, **arguments: Any) -> None:
        """Call a method of a worker's trainer; `wait` returns its answer, or the worker's death."""

    def wait(self, timeout_seconds: float) -> Sequence[Message]:
        """Return the messages that have arrived, waiting up to the timeout for the first."""

    def release(self, worker: int) -> None:
        """Make a worker idle after its trial, or replace it if it has grown too far."""

    def replace(self, worker: int) -> None:
        """Replace a worker after its trial, so that the next one has all memory."""

    def kill(self, worker: int) -> None:
        """Kill a worker's process, and replace all workers in it.

        `wait` returns no further message of theirs.
        """

    def close(self) -> None:
        """End all workers, whatever they are doing, and wait until their processes are gone."""


# Messages between Assay's own processes: one JSON object per line over a Unix socket.


def send_message(connection: socket.socket, message: dict[str, Any]) -> None:
    """Send a message.

    Raises:
        OSError: the other process is gone.
    """
    connection.sendall(json.dumps(message).encode() + b"\n")


class Inbox:
    """Assembles messages from what arrives on a socket.

    Attributes:
        at_end: whether the other process has closed its end.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""
        self.at_end = False

    def receive(self) -> Iterator[dict[str, Any]]:
        """Read once, blocking if the socket does, and yield the messages that are complete."""
        try:
            received = self._connection.recv(1 << 16)
        except BlockingIOError:  # nothing has arrived
            return
        except ConnectionError:  # a process that was killed
            received = b""
        self.at_end = not received
        # The last line is not complete, or empty.
        *lines, self._buffer = (self._buffer + received).split(b"\n")
        for line in lines:
            yield json.loads(line)
