"""Kills at random times."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence

from tests.chaos.sessions import Sessions, is_alive, kill
from tests.chaos.verdict import ended_well, orphans


class Harm:
    """Random kills of the supervisor, of a worker, or of all.

    Args:
        sessions: sessions of the home.
        study: name of the study.
        chance: generator of the times and the targets.
        longest_seconds: longest time between two kills.

    Attributes:
        killed: number of kills by target.
        finished: trials that were complete or pruned when a session ended.
        orphans: number of workers that outlived a supervisor by 10 s.
    """

    def __init__(
        self, sessions: Sessions, study: str, chance: random.Random, longest_seconds: float
    ) -> None:
        self._sessions = sessions
        self._study = study
        self._chance = chance
        self._longest_seconds = longest_seconds
        self.killed: Counter[str] = Counter()
        self.finished: set[int] = set()
        self.orphans = 0

    @property
    def kills(self) -> int:
        """Number of kills."""
        return self.killed.total()

    def __str__(self) -> str:
        counted = ", ".join(f"{count} of {target}" for target, count in sorted(self.killed.items()))
        return f"{self.kills} kills ({counted})"

    def is_done(self, command: Sequence[str], kills: int) -> bool:
        """Start a sweep repeatedly until the number of kills is reached.

        Args:
            command: arguments of the sweep.
            kills: number of kills, including earlier ones.

        Returns:
            Whether the sweep came to its end before.
        """
        while self.kills < kills:
            pid = self._sessions.start(*command)
            before = len(self._sessions.worker_pids())
            while self.kills < kills and is_alive(pid):
                # Wait for its first worker, because a kill needs a target.
                while is_alive(pid) and len(self._sessions.worker_pids()) == before:
                    time.sleep(0.01)
                time.sleep(self._chance.uniform(0.0, self._longest_seconds))
                self._kill(pid)
            if is_alive(pid):
                kill(pid)
            status = self._sessions.wait(pid)
            self.orphans += orphans(self._sessions)
            self.finished |= ended_well(self._sessions.home, self._study)
            if status == 0:
                return True
        return False

    def _kill(self, supervisor: int) -> None:
        target = self._chance.choice(("supervisor", "worker", "worker", "both"))
        workers = [worker for worker in self._sessions.worker_pids() if is_alive(worker)]
        if not is_alive(supervisor) or (target != "supervisor" and not workers):
            return  # the target has ended
        if target != "supervisor":
            for worker in workers if target == "both" else workers[:1]:
                kill(worker)
        if target != "worker":
            kill(supervisor)
            self._wait_for_end(supervisor)
        self.killed[target] += 1

    @staticmethod
    def _wait_for_end(pid: int) -> None:
        while is_alive(pid):
            time.sleep(0.001)
