"""Several trials a worker: each of its lanes is a worker to the supervisor, and they train
together.

The supervisor answers everything it hears before it waits again, so when it waits, every lane that
has a trial has its next call, or is waiting for an answer with the others. Then the calls of a
worker's lanes go out as one.

A lane whose trial is over stays closed until all of its worker's are: a trial that began later
would see other batches than those beside it, and could not be trained with them.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from assay.search.workers.protocol import Died, Executor, Message, Method, Raised, Reply


class LaneExecutor:
    """Presents the lanes of another executor's workers as workers.

    Args:
        inner: whose workers have a trainer that answers a `group` of calls.
        lanes: of each worker, 1 or more.
    """

    def __init__(self, inner: Executor, lanes: int) -> None:
        self._inner = inner
        self._lanes = lanes
        self._busy: dict[int, set[int]] = defaultdict(set)
        self._asked: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self._sent: dict[int, list[int]] = {}
        self._worn: set[int] = set()

    def idle(self) -> Sequence[int]:
        """Return the lanes of workers that have no trial in any; one of each first, so that all get
        some.
        """
        free = [worker for worker in self._inner.idle() if not self._busy[worker]]
        return [
            worker * self._lanes + lane
            for lane, worker in itertools.product(range(self._lanes), free)
        ]

    def process(self, worker: int) -> int:
        """Return the number of the process that a lane is in."""
        return worker // self._lanes

    def call(self, worker: int, method: Method, **arguments: Any) -> None:
        """Note a call of a lane, to be sent with those of the other lanes; its answer comes out of
        `wait`.
        """
        process = self.process(worker)
        self._busy[process].add(worker)
        self._asked[process].append({"lane": worker, "method": method, "arguments": arguments})

    def wait(self, timeout_seconds: float) -> Sequence[Message]:
        """Send what was called, and return what has come in, waiting for at most so long for the
        first of it.
        """
        for process in [process for process in self._asked if process not in self._sent]:
            calls = self._asked.pop(process)
            self._sent[process] = [call["lane"] for call in calls]
            self._inner.call(process, "batch", calls=calls)
        return [
            message for told in self._inner.wait(timeout_seconds) for message in self._apart(told)
        ]

    def release(self, worker: int) -> None:
        """Say that a lane's trial is over; its worker is idle again, or replaced, once all of its
        lanes' are.
        """
        process = self.process(worker)
        self._busy[process].discard(worker)
        if self._busy[process]:
            return
        if process in self._worn:
            self._worn.remove(process)
            self._inner.replace(process)
        else:
            self._inner.release(process)

    def replace(self, worker: int) -> None:
        """Say that a lane's trial is over, and have its worker replaced once those beside it are
        over too.
        """
        self._worn.add(self.process(worker))
        self.release(worker)

    def kill(self, worker: int) -> None:
        """End the process of a lane with all of its lanes; another takes its place."""
        process = self.process(worker)
        for kept in (self._busy, self._asked, self._sent):
            kept.pop(process, None)
        self._worn.discard(process)
        self._inner.kill(process)

    def close(self) -> None:
        """End all workers, whatever they are doing, and leave none behind."""
        self._inner.close()

    def _apart(self, told: Message) -> Iterator[Message]:
        """Yield what a worker's message says of each lane."""
        process = told.worker
        sent = self._sent.pop(process, [])
        match told:
            case Reply():
                for lane, answer in zip(sent, told.value["answers"], strict=True):
                    if "error" in answer:
                        yield Raised(lane, **answer)
                    else:
                        yield Reply(lane, answer["value"])
            case Raised():
                for lane in sent:
                    yield dataclasses.replace(told, worker=lane)
            case Died():
                self._asked.pop(process, None)
                self._worn.discard(process)
                for lane in sorted(self._busy.pop(process, None) or [process * self._lanes]):
                    yield Died(lane, told.how, told.note)
