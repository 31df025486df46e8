"""What the supervisor needs from others: where trials come from, who trains them, who is told."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from assay.search.events import TrialEnded
from assay.search.objective import Values

Method = Literal["device", "check", "begin", "epoch", "finish", "drop", "batch"]


REDO, RETRY = "redo of", "retry of"
"""How the origin of a trial begins that was interrupted and is done again, or whose worker died;
its number follows.
"""


@dataclass(frozen=True)
class Trial:
    """One configuration to be trained.

    Attributes:
        number: Optuna's.
        searched: values by name.
        seed: of weights and order; a retry has that of the first attempt.
        origin: whose idea it was.
        attempt: which it is at this configuration, from 1: only a worker's own death makes another.
        retry_of: the trial whose worker died, if this is another attempt.
    """

    number: int
    searched: Mapping[str, Any]
    seed: int
    origin: str
    attempt: int = 1
    retry_of: int | None = None


class TrialSource(Protocol):
    """Where trials come from and where their ends are recorded: a study, or a single
    configuration.
    """

    def ask(self) -> Trial | None:
        """Return the next trial; None if another supervisor has taken the last that there was."""

    def done(self) -> int:
        """Return how many trials are complete or pruned."""

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Record the objective after an epoch; return whether the trial should be pruned."""

    def tell(self, end: TrialEnded) -> None:
        """Record a trial's end."""

    def retry(self, trial: Trial) -> None:
        """Have a trial whose worker died tried once more, as a new trial."""

    def more(self) -> bool:
        """Return whether there is another trial to ask for; a grid comes to its end."""

    def admits(self, number: int, values: Values) -> bool:
        """Return whether a complete trial of these values would be the best so far, or none would
        dominate it.
        """

    def best_trials(self) -> Mapping[int, Values]:
        """Return the best complete trial with its values by its number; with several objectives the
        Pareto front.
        """


class Trainer(Protocol):
    """What a worker process runs: one trial at a time, an epoch at a time, plain values in and out.

    The protocol is pull: nothing is trained that the supervisor has not asked for, so its next call
    is its decision.
    """

    def device(self) -> dict[str, Any]:
        """Return {"device": what this worker computes on}.

        Raises:
            RequestError: it is not what it was told to compute on.
        """

    def check(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Try a trial out and forget it; return {"parameters": as of begin, "metrics": the names an
        epoch would give}.

        Raises:
            RequestError: it can't be trained.
        """

    def begin(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Set up a trial; return {"parameters": trainable and other weights}, and under "note" what
        is odd about it.
        """

    def epoch(self) -> dict[str, Any]:
        """Train one epoch and validate.

        Returns:
            {"metrics": {name: value}, "seconds": wall time}; {"stopped": True} with it if there
            will be no other epoch although there could be, and {"restored": {"epoch", "metrics"}}
            if the weights are now those of an earlier epoch.
        """

    def finish(self, save_as: str | None) -> dict[str, Any]:
        """End the trial, keeping its model in a file if asked.

        Returns:
            Its costs by name; and under "unsaved" why the model could not be kept, if it could not.
        """

    def drop(self) -> None:
        """Forget the trial."""


class GroupTrainer(Trainer, Protocol):
    """A trainer that has several trials at a time, one in each lane, and trains together those that
    it can.
    """

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any] | Exception]:
        """Answer calls of a Trainer's methods, {"lane", "method", "arguments"} each, no two of one
        lane.

        Returns:
            By call what the method returns, or what it raised.
        """


@dataclass(frozen=True)
class Reply:
    """A worker's answer to a call."""

    worker: int
    value: Mapping[str, Any]


@dataclass(frozen=True)
class Raised:
    """A call ended in an exception: `error` is its last line, `text` the whole traceback. The
    worker lives.

    `request` says that it was a RequestError: the user's to mend. Then `error` is its message
    alone. `out_of_memory` says that memory ran out, the machine's or the card's; `bug` that Assay
    itself is to blame.
    """

    worker: int
    error: str
    text: str
    request: bool = False
    out_of_memory: bool = False
    bug: bool = False


@dataclass(frozen=True)
class Died:
    """A worker's process is gone: `how` names the signal or exit status, `note` a likely cause if
    one is known.
    """

    worker: int
    how: str
    note: str | None = None


Message = Reply | Raised | Died


class Executor(Protocol):
    """Hands calls to workers and brings back what they say. Calls return at once; a worker has one
    call at a time.
    """

    def idle(self) -> Sequence[int]:
        """Return the workers that are up and have no trial."""

    def process(self, worker: int) -> int:
        """Return the number of the process that a worker is in: those of one process may fail for
        one reason.
        """

    def call(self, worker: int, method: Method, **arguments: Any) -> None:
        """Call a method of the worker's trainer; its answer, or its death, comes out of `wait`."""

    def wait(self, timeout_seconds: float) -> Sequence[Message]:
        """Return what has come in, waiting for at most so long for the first of it."""

    def release(self, worker: int) -> None:
        """Say that the worker's trial is over: it is idle again, or replaced when it has grown too
        far.
        """

    def replace(self, worker: int) -> None:
        """Say that the worker's trial is over and end it: another takes its place, with its memory
        to itself.
        """

    def kill(self, worker: int) -> None:
        """End the process of a worker that does not answer, with all workers in it; nothing more is
        heard of them.

        Another takes its place.
        """

    def close(self) -> None:
        """End all workers, whatever they are doing, and leave none behind."""


# Messages between our own processes: one JSON object a line over a Unix socket.


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
        """Read once (blocking if the socket does) and yield the messages complete by then; `at_end`
        after the last.
        """
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
