"""Trials that are trained together, from their first epoch on until the last of them is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models.backends.interface import Metrics
from models.optimizers import decay_of
from models.plans import Plans
from models.recipe import Recipe

if TYPE_CHECKING:
    from models.backends.jax_epoch import State
    from models.backends.jax_group import GroupPrograms


@dataclass(eq=False)
class Member:
    """A trial that can be trained with others of its signature.

    Attributes:
        recipe: what it does.
        plans: of its epochs.
        programs: what trains it.
        begins: the state before its first epoch.
        epoch_seconds: its share of what each epoch took.
        cohort: those it is trained with; None before its first epoch.
    """

    recipe: Recipe
    plans: Plans
    programs: GroupPrograms
    begins: State
    epoch_seconds: list[float] = field(default_factory=list)
    cohort: Cohort | None = None

    @property
    def epochs_left(self) -> int:
        """How many epochs it has not trained yet."""
        return self.recipe.train.epochs - len(self.epoch_seconds)

    @property
    def state(self) -> State:
        """What it has been trained to."""
        return self.begins if self.cohort is None else self.cohort.state(self)


class Cohort:
    """Trials of one signature with the same batches, each of which has trained as many epochs.

    Args:
        members: which; each goes on from its state.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        from models.backends.jax_group import stack  # not at the top: settings are checked without a backend

        self._programs = members[0].programs
        size = 1  # one alone is alone: when a larger program has failed, say
        if len(members) > 1:
            size = self._programs.size(len(members), None, max(member.epochs_left for member in members))
        self._lanes = [*members, *[members[0]] * (size - len(members))]
        self._states = stack([member.state for member in self._lanes])
        for member in members:
            member.cohort = self

    def state(self, member: Member) -> State:
        """Return a member's state."""
        from models.backends.jax_group import lane_of  # for the same reason

        return lane_of(self._states, self._lanes.index(member))

    def epoch(self, members: Sequence[Member]) -> dict[Member, Metrics]:
        """Train those members for an epoch that have not ended; return what it measured, by member.

        Each one's seconds are an equal share of all.
        """
        self._compact(members)
        epoch = len(members[0].epoch_seconds)
        plan = members[0].plans[epoch]  # but for the rates all have the same
        rates = [lane.plans.rates(epoch) if lane in members else plan.rates for lane in self._lanes]
        decays = [decay_of(lane.recipe.train) for lane in self._lanes]
        self._states, measured, seconds = self._programs.run(self._states, plan, rates, decays)
        results = {}
        for member in members:
            lane = self._lanes.index(member)
            member.epoch_seconds.append(seconds / len(members))
            results[member] = measured[lane]
            if len(rates[lane]) > 0:
                results[member]["learning_rate"] = float(rates[lane][-1])
        return results

    def _compact(self, members: Sequence[Member]) -> None:
        """Leave behind the lanes of those that have ended, if that is expected to take less time in the end."""
        from models.backends.jax_group import taken  # for the same reason

        if len(members) == len(self._lanes):
            return
        left = max(member.epochs_left for member in members)
        size = self._programs.size(len(members), len(self._lanes), left)
        if size < len(self._lanes):
            kept = [self._lanes.index(member) for member in members]
            kept += [kept[0]] * (size - len(kept))
            self._states = taken(self._states, kept)
            self._lanes = [self._lanes[lane] for lane in kept]
