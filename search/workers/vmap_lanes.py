"""Lanes: several trials per worker, which a trainer with vectorization trains together.

The supervisor sees each lane as a worker. It handles every message before it waits again. So when
it waits, every lane with a trial has its next call, or waits for an answer. Then the calls of a
process's lanes are sent as one.

A lane whose trial has ended stays closed until the trials of all lanes of its process have ended. A
trial that began later would see other batches than those beside it, and could not be trained with
them.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from assay.search.workers.protocol import Died, Executor, Message, Method, Raised, Reply


class LaneExecutor:
    """Executor whose workers are the lanes of another executor's workers.

    Args:
        inner: the executor of the processes. Their trainers have a method `batch(calls)`: it takes
            {"lane", "method", "arguments"} for each of several lanes, and returns for each call
            what the method of `Trainer` returns, or the exception that it raises.
        lanes: number of lanes per process.

    Example:
        >>> executor = LaneExecutor(LocalExecutor(recipe, [{}] * 2), lanes=4)  # 8 workers
    """

    def __init__(self, inner: Executor, lanes: int) -> None:
        self._inner = inner
        self._lanes = lanes
        # By process: the lanes with a trial, the calls to be sent, and the lanes of the calls that
        # were sent.
        self._busy: dict[int, set[int]] = defaultdict(set)
        self._pending: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self._sent: dict[int, list[int]] = {}
        self._to_replace: set[int] = set()  # processes, once all of their trials have ended

    def idle(self) -> Sequence[int]:
        """Return the lanes of processes without a trial; one of each process first."""
        free = [process for process in self._inner.idle() if not self._busy[process]]
        return [
            process * self._lanes + lane
            for lane, process in itertools.product(range(self._lanes), free)
        ]

    def process(self, worker: int) -> int:
        """Return the process of a lane."""
        return worker // self._lanes

    def call(self, worker: int, method: Method, **arguments: Any) -> None:
        """Keep a call of a lane; `wait` sends it with those of the other lanes."""
        process = self.process(worker)
        self._busy[process].add(worker)
        self._pending[process].append({"lane": worker, "method": method, "arguments": arguments})

    def wait(self, timeout_seconds: float) -> Sequence[Message]:
        """Send the calls, and return the messages that have arrived."""
        # A process has one call at a time.
        for process in [process for process in self._pending if process not in self._sent]:
            calls = self._pending.pop(process)
            self._sent[process] = [call["lane"] for call in calls]
            self._inner.call(process, "batch", calls=calls)
        return [
            message
            for received in self._inner.wait(timeout_seconds)
            for message in self._split_message(received)
        ]

    def release(self, worker: int) -> None:
        """Close a lane; after the last one, make the process idle or replace it."""
        process = self.process(worker)
        self._busy[process].discard(worker)
        if self._busy[process]:
            return
        if process in self._to_replace:
            self._to_replace.remove(process)
            self._inner.replace(process)
        else:
            self._inner.release(process)

    def replace(self, worker: int) -> None:
        """Close a lane, and replace its process after the last one."""
        self._to_replace.add(self.process(worker))
        self.release(worker)

    def kill(self, worker: int) -> None:
        """Kill the process of a lane, with all of its lanes, and replace it."""
        process = self.process(worker)
        for by_process in (self._busy, self._pending, self._sent):
            by_process.pop(process, None)
        self._to_replace.discard(process)
        self._inner.kill(process)

    def close(self) -> None:
        """End all workers, whatever they are doing, and wait until their processes are gone."""
        self._inner.close()

    def _split_message(self, message: Message) -> Iterator[Message]:
        """Yield the message of each lane from one of its process."""
        process = message.worker
        lanes = self._sent.pop(process, [])
        match message:
            case Reply():
                for lane, answer in zip(lanes, message.value["answers"], strict=True):
                    if "error" in answer:
                        yield Raised(lane, **answer)
                    else:
                        yield Reply(lane, answer["value"])
            case Raised():
                for lane in lanes:
                    yield dataclasses.replace(message, worker=lane)
            case Died():
                self._pending.pop(process, None)
                self._to_replace.discard(process)
                # An idle process has no lane with a trial; its death is that of its first lane.
                for lane in sorted(self._busy.pop(process, None) or [process * self._lanes]):
                    yield Died(lane, message.how, message.note)
