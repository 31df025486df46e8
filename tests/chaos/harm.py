"""Killing at random."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence

from tests.chaos.sessions import Sessions, is_alive, kill
from tests.chaos.verdict import ended_well, orphans


class Harm:
    """Kills the supervisor, a worker, or all, at random times.

    Args:
        sessions: whose.
        study: its name.
        chance: when, and whom.
        longest_seconds: between two kills.

    Attributes:
        killed: how often whom.
        finished: the trials that had ended well before a kill.
        orphans: workers that outlived a supervisor by 10 s.
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
        """How often somebody was killed."""
        return self.killed.total()

    def __str__(self) -> str:
        counted = ", ".join(f"{count} of {who}" for who, count in sorted(self.killed.items()))
        return f"{self.kills} kills ({counted})"

    def is_done(self, wanted: Sequence[str], kills: int) -> bool:
        """Start a sweep again and again until so many were killed in all; return whether it came to its end before."""
        while self.kills < kills:
            pid = self._sessions.start(*wanted)
            before = len(self._sessions.worker_pids())
            while self.kills < kills and is_alive(pid):
                # Until it has workers, so that there is somebody to kill.
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
        who = self._chance.choice(("supervisor", "worker", "worker", "both"))
        workers = [worker for worker in self._sessions.worker_pids() if is_alive(worker)]
        if not is_alive(supervisor) or (who != "supervisor" and not workers):
            return  # nobody is there to be killed
        if who != "supervisor":
            for worker in workers if who == "both" else workers[:1]:
                kill(worker)
        if who != "worker":
            kill(supervisor)
            self._wait_for_end(supervisor)
        self.killed[who] += 1

    @staticmethod
    def _wait_for_end(pid: int) -> None:
        while is_alive(pid):
            time.sleep(0.001)
