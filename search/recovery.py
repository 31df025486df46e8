"""What a new supervisor makes of trials that the last one left behind.

Called at the start of every sweep, on a study that nobody else has open. Idempotent: after a death in the middle of it,
running it again does the rest.

| the last supervisor died                       | what is made of the trial                                       |
| ---------------------------------------------- | --------------------------------------------------------------- |
| after asking, before the journal had it        | begun and ended in the journal as interrupted, failed in Optuna |
| after the journal had it begun, in any epoch   | ended in the journal as interrupted, failed in Optuna           |
| after the journal had it ended                 | Optuna is told what the journal says: the trial is not lost     |
| after Optuna was told                          | nothing is left to do                                           |

A search that is not done then enqueues every trial that was interrupted and has not been redone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optuna.trial import FrozenTrial

from search.events import TrialBegun, TrialEnded
from search.journal import Journal, read
from search.protocols import Trial
from search.samplers.grid_sampler import ENQUEUED
from search.seeds import trial_seed
from search.study import INTERRUPTED, ORIGIN, SEED, STATE, StudyTrials

REDO_OF = "assay.redo_of"


def recover(trials: StudyTrials, journal: Journal, describe: Callable[[Trial], Mapping[str, Any]]) -> None:
    """Settle every trial that Optuna believes to be running.

    Args:
        trials: the study, open in this process alone.
        journal: its journal.
        describe: makes of a trial all its hyperparameters by name, for the journal.
    """
    left_running = trials.left_running()
    if left_running:
        begun, ended = _settled(journal)
        for left in left_running:
            end = ended.get(left.number)
            if end is None:
                if left.number not in begun:
                    journal.append(_beginning(left, trials, describe))
                end = TrialEnded(trial=left.number, state="failed", reason="interrupted")
                journal.append(end)
            trials.settle(left, end)


def _settled(journal: Journal) -> tuple[set[int], dict[int, TrialEnded]]:
    begun: set[int] = set()
    ended: dict[int, TrialEnded] = {}
    for event, _ in read(journal.path, only=[TrialBegun, TrialEnded]):
        if isinstance(event, TrialBegun):
            begun.add(event.trial)
        elif isinstance(event, TrialEnded):
            ended[event.trial] = event
    return begun, ended


def _beginning(left: FrozenTrial, trials: StudyTrials, describe: Callable[[Trial], Mapping[str, Any]]) -> TrialBegun:
    own = left.user_attrs.get(SEED, trial_seed(trials.seed, left.number))
    trial = Trial(left.number, trials.searched(left), own, left.user_attrs.get(ORIGIN, "unknown"))
    return TrialBegun(
        trial=trial.number, seed=own, params=describe(trial), searched=trial.searched, origin=trial.origin
    )


def redo_interrupted(trials: StudyTrials) -> int:
    """Enqueue what was interrupted and not redone since, with its parameters and its seed; return how many."""
    known = trials.study.get_trials(deepcopy=False)
    redone = {trial.user_attrs[REDO_OF] for trial in known if REDO_OF in trial.user_attrs}
    enqueued = 0
    for trial in known:
        if trial.user_attrs.get(STATE) != INTERRUPTED or trial.number in redone:
            continue
        # What was enqueued stays so even if the trial died before all of it was taken over.
        parameters = {**trial.system_attrs.get(ENQUEUED, {}), **trial.params}
        if parameters:
            attributes = {
                ORIGIN: f"redo of {trial.number}",
                REDO_OF: trial.number,
                SEED: trial.user_attrs.get(SEED, trial_seed(trials.seed, trial.number)),
            }
            trials.study.enqueue_trial(parameters, user_attrs=attributes)
            enqueued += 1
    return enqueued
