"""What a worker process runs where trials can be trained together: several at a time, one in each
lane.

Trials that share a compile key, and so the compiled code, train as one program; see
`assay.models.backends.jax_vmap`. All others train as ever, one after the other.
"""

from __future__ import annotations

import gc
import statistics
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.models import precision
from assay.models.recipe import Recipe
from assay.models.training import augmentation
from assay.models.training.epoch import Metrics
from assay.models.training.fit import TrainingInputs, feeding
from assay.models.training.optimizers import decay_of
from assay.models.worker.memory import PeakMemory
from assay.models.worker.trainer import Trainer, save
from assay.models.worker.trial_spec import TrialSpec, compile_key

if TYPE_CHECKING:
    from assay.models.backends.jax_epoch import State
    from assay.models.backends.jax_vmap import VmapPrograms


# Trials that are trained together, from their first epoch on until the last of them is over.


@dataclass(eq=False)
class Member:
    """A trial that can be trained with others of its compile_key.

    Attributes:
        recipe: what it does.
        plans: of its epochs.
        programs: what trains it.
        begins: the state before its first epoch.
        epoch_seconds: its share of what each epoch took.
        cohort: those it is trained with; None before its first epoch.
    """

    recipe: Recipe
    plans: TrainingInputs
    programs: VmapPrograms
    begins: State
    epoch_seconds: list[float] = field(default_factory=list)
    cohort: TrialBatch | None = None

    @property
    def epochs_left(self) -> int:
        """How many epochs it has not trained yet."""
        return self.recipe.train.epochs - len(self.epoch_seconds)

    @property
    def state(self) -> State:
        """What it has been trained to."""
        return self.begins if self.cohort is None else self.cohort.state(self)


class TrialBatch:
    """Trials of one compile_key with the same batches, each of which has trained as many epochs.

    Args:
        members: which; each goes on from its state.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        from assay.models.backends.jax_vmap import (
            stack,
        )  # not at the top: settings are checked without a backend

        self._programs = members[0].programs
        size = 1  # one alone is alone: when a larger program has failed, say
        if len(members) > 1:
            size = self._programs.size(
                len(members), None, max(member.epochs_left for member in members)
            )
        self._lanes = [*members, *[members[0]] * (size - len(members))]
        self._states = stack([member.state for member in self._lanes])
        for member in members:
            member.cohort = self

    def state(self, member: Member) -> State:
        """Return a member's state."""
        from assay.models.backends.jax_vmap import lane_of  # for the same reason

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
        """Leave behind the lanes of those that have ended, if that is expected to take less time in
        the end.
        """
        from assay.models.backends.jax_vmap import taken  # for the same reason

        if len(members) == len(self._lanes):
            return
        left = max(member.epochs_left for member in members)
        size = self._programs.size(len(members), len(self._lanes), left)
        if size < len(self._lanes):
            kept = [self._lanes.index(member) for member in members]
            kept += [kept[0]] * (size - len(kept))
            self._states = taken(self._states, kept)
            self._lanes = [self._lanes[lane] for lane in kept]


_KEPT_PROGRAMS = 8
"""Signatures whose programs are kept for trials to come, beside those that are being trained."""

Outcome = Mapping[str, Any] | Exception


class VmapTrainer(Trainer):
    """Trains one trial at a time as any trainer does, or with `group` a trial a lane.

    Args:
        threads: that the backend computes with, where it can be told.
        calibrate: whether trials are trained together only where that was found to take less time.
        options: see `Trainer`.
    """

    def __init__(self, threads: int, calibrate: bool = True, **options: Any) -> None:
        super().__init__(threads, **options)
        self._options = options
        self._calibrate = calibrate
        self._members: dict[int, Member] = {}
        self._alone: dict[int, Trainer] = {}
        self._programs: OrderedDict[tuple[object, ...], VmapPrograms] = OrderedDict()
        self._memory = PeakMemory()

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[Outcome]:
        """Answer calls of several lanes at once: {"lane", "method", "arguments"} each.

        Returns:
            By call what the method returns, as `Trainer` has it, or what it raised: that of one
            lane concerns no other. Of trials that train together, "seconds" is each one's equal
            share, compiling apart, and "peak_memory_bytes" of the process while they and those
            beside them trained.
        """
        outcomes = {
            call["lane"]: _outcome(self._answer, **call) for call in calls if not self._trains(call)
        }
        outcomes |= self._train([call["lane"] for call in calls if self._trains(call)])
        return [outcomes[call["lane"]] for call in calls]

    def _trains(self, call: Mapping[str, Any]) -> bool:
        return call["method"] == "epoch" and call["lane"] in self._members

    def _answer(self, lane: int, method: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if method == "begin":
            return self._begin(lane, **arguments)
        member = self._members.get(lane)
        if member is None:
            trainer = self._alone.get(lane, self)
            if method in ("finish", "drop"):
                self._alone.pop(lane, None)
            return getattr(trainer, method)(**arguments) or {}
        reply = self._finish(member, **arguments) if method == "finish" else {}
        self._forget(lane)
        return reply

    def _begin(self, lane: int, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        self._forget(lane)
        if not (self._members or self._alone):
            self._memory = PeakMemory()
        trial = TrialSpec.read(spec, "the assignment")
        if not can_be_fused(trial):
            self._alone[lane] = Trainer(threads=0, cache=self._cache, **self._options)
            return self._alone[lane].begin(spec)
        if self._on_gpu:
            self.device()
        precision.use(self._precision)
        recipe = trial.recipe()
        resident = self._cache.resident(trial)
        augmentation.check_input(recipe.train, resident.shape.input_shape)
        programs = self._programs_of(trial)
        plans = TrainingInputs(recipe.train, resident.shape, trial.feeding_seed)
        self._members[lane] = Member(recipe, plans, programs, programs.begin(recipe, trial.seed))
        return {"parameters": programs.parameters}

    def _programs_of(self, trial: TrialSpec) -> VmapPrograms:
        """Return what trains this trial and all that can be trained with it."""
        from assay.models.backends.jax import JaxDataset
        from assay.models.backends.jax_vmap import (
            VmapPrograms,  # not at the top: settings are checked without a backend
        )

        recipe, resident = trial.recipe(), self._cache.resident(trial)
        # What they are shown must be the same too: order and windows.
        key = (
            compile_key(trial, decay_is_compiled=False),
            recipe.train.flip,
            trial.feeding_seed,
            id(resident),
        )
        if key not in self._programs:
            assert isinstance(resident.fast, JaxDataset)
            self._programs[key] = VmapPrograms(
                recipe, feeding(recipe.train, recipe.one_hot), resident.fast
            )
        self._programs.move_to_end(key)
        while len(self._programs) > _KEPT_PROGRAMS:
            self._programs.popitem(last=False)
        return self._programs[key]

    def _train(self, lanes: Sequence[int]) -> dict[int, Outcome]:
        """Train an epoch of each of these, together where they can be."""
        asking = {self._members[lane]: lane for lane in lanes}
        outcomes: dict[int, Outcome] = {}
        for member in asking:
            if member.epochs_left == 0:
                outcomes[asking[member]] = RuntimeError(
                    f"the trial has trained all of its {len(member.epoch_seconds)} epochs: finish it"
                )
        members = [member for member in asking if member.epochs_left > 0]
        failed = self._gather([member for member in members if member.cohort is None])
        outcomes |= {asking[member]: error for member, error in failed.items()}
        members = [member for member in members if member not in failed]
        for cohort in dict.fromkeys(member.cohort for member in members):
            together = [member for member in members if member.cohort is cohort]
            outcomes |= {asking[member]: outcome for member, outcome in _epoch(together).items()}
        self._memory.look()
        return outcomes

    def _gather(self, members: Sequence[Member]) -> dict[Member, Exception]:
        """Have trials begin together that share programs, where that takes less time; return those
        that can't begin.
        """
        failed: dict[Member, Exception] = {}
        for programs in dict.fromkeys(member.programs for member in members):
            together = [member for member in members if member.programs is programs]
            if len(together) > 1 and self._is_faster(programs, len(together)):
                with suppress(Exception):  # such as memory that ran out: then each for itself
                    TrialBatch(together)
            for member in together:
                try:
                    if member.cohort is None:
                        TrialBatch([member])
                except Exception as error:
                    failed[member] = error
        return failed

    def _is_faster(self, programs: VmapPrograms, trials: int) -> bool:
        """Return whether so many trials take less time together; what fails when it is tried does
        not.
        """
        if not self._calibrate:
            return True
        try:
            return programs.wins(trials)
        except Exception:
            return False

    def _finish(self, member: Member, save_as: str | None) -> dict[str, Any]:
        costs: dict[str, Any] = {
            "peak_memory_bytes": self._memory.bytes(),
            "train_seconds": sum(member.epoch_seconds),
            "epoch_seconds": statistics.median(member.epoch_seconds),
        }
        if save_as is not None:
            try:
                save(member.programs.model(member.state, member.recipe), Path(save_as))
            except OSError as error:
                costs["unsaved"] = str(error)
        return costs

    def _forget(self, lane: int) -> None:
        if self._members.pop(lane, None) is not None and not self._members:
            gc.collect()  # models that only gave their first weights


def can_be_fused(trial: TrialSpec) -> bool:
    """Return whether a trial can be trained with others: of a built-in family, without early
    stopping or checkpoints.

    Early stopping keeps weights and stops at a time of its own; a factory of a user's own is
    compiled anew each time; and what a checkpoint holds is the state of one.
    """
    recipe = trial.recipe()
    return (
        recipe.family.factory is None
        and recipe.train.early_stopping is None
        and trial.checkpoint is None
    )


def _epoch(members: Sequence[Member]) -> dict[Member, Outcome]:
    """Train members of one cohort for an epoch; if that fails, one at a time, so that it fails for
    whom it must.
    """
    cohort = members[0].cohort
    assert cohort is not None
    try:
        return {
            member: _reply(member, metrics) for member, metrics in cohort.epoch(members).items()
        }
    except Exception as error:
        if len(members) == 1:
            return {members[0]: error}
    outcomes: dict[Member, Outcome] = {}
    for member in members:
        try:
            TrialBatch([member])
        except Exception as error:
            outcomes[member] = error
        else:
            outcomes |= _epoch([member])
    return outcomes


def _reply(member: Member, metrics: Mapping[str, float]) -> dict[str, Any]:
    return {"metrics": dict(metrics), "seconds": member.epoch_seconds[-1]}


def _outcome(call: Callable[..., Mapping[str, Any]], **arguments: Any) -> Outcome:
    try:
        return call(**arguments)
    except Exception as error:
        return error
