"""The Optuna study behind a sweep: opened by one process, which alone asks and tells, or shared on
PostgreSQL.
"""

from __future__ import annotations

import json
import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from assay.models.seeding import trial_seed
from assay.search.events import TrialEnded
from assay.search.importances import importances
from assay.search.objective import ParetoFront, Values
from assay.search.plan import StudyRequest
from assay.search.pruners import make_pruner
from assay.search.samplers import make_sampler
from assay.search.samplers.grid_sampler import ENQUEUED, GridSampler
from assay.search.space import Configuration
from assay.search.storage.postgresql import SharedStorage
from assay.search.storage.retrying import RetryingStorage
from assay.search.storage.write_through import WriteThroughStorage
from assay.search.study_record import (
    ATTEMPT,
    BASELINE,
    FINGERPRINT,
    INTERRUPTED,
    OPENINGS,
    ORIGIN,
    RETRY_OF,
    SEED,
    STATE,
    STATES,
    STUDY_ID,
    StudyRecord,
    load_study_record,
)
from assay.search.workers.protocol import RETRY, Trial

_DONE = (TrialState.COMPLETE, TrialState.PRUNED)

optuna.logging.set_verbosity(optuna.logging.ERROR)  # what it warns of, our own lines say
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


class StudyTrials(StudyRecord):
    """The trials of an Optuna study: a source of trials for the supervisor, and what is known of
    them all.

    Creates the study, or loads it if there is one of that name. On a shared storage others may add
    trials meanwhile.

    Raises:
        RequestError: the one of that name has another identity.

    Attributes:
        supervisor: what the trials that it takes are known by, on a shared storage; else nothing.
    """

    def __init__(self, storage: optuna.storages.BaseStorage, request: StudyRequest) -> None:
        self._request, self._given = request, storage
        self._shared = storage if isinstance(storage, SharedStorage) else None
        self._storage = WriteThroughStorage(storage) if self._shared is None else self._shared
        self.supervisor = ""
        self._running: dict[int, optuna.Trial] = {}
        self._unpruned: set[int] = set()
        if self._shared is not None:
            self._shared.supervisor = self.supervisor = uuid.uuid4().hex
            self._shared.run_locked(request.name, self._open)
        else:
            self._open()
        self.count()

    def _open(self) -> None:
        request = self._request
        known = load_study_record(self._storage, request.name)
        attributes = {} if known is None else known.study.user_attrs
        drawn = 0 if known is None else len(known.study.get_trials(deepcopy=False))
        if known is not None:
            known.check(request.fingerprint)
        self.seed = attributes.get(SEED, 0) if request.seed is None else request.seed
        self.study_id = attributes.get(STUDY_ID) or uuid.uuid4().hex
        opening = attributes.get(OPENINGS, 0)
        sampler = make_sampler(
            request.sampler,
            self.seed,
            drawn,
            request.space,
            request.sampler_options,
            len(request.objectives),
            opening,
        )
        self.study = optuna.create_study(
            storage=self._storage,
            study_name=request.name,
            directions=[objective.direction for objective in request.objectives.each],
            sampler=sampler,
            pruner=make_pruner(
                request.pruner, request.epochs, request.pruner_options, self._shared is not None
            ),
            load_if_exists=True,
        )
        self.study.set_user_attr(SEED, self.seed)
        self.study.set_user_attr(STUDY_ID, self.study_id)
        self.study.set_user_attr(FINGERPRINT, dict(request.fingerprint))
        if self._shared is not None:
            self.study.set_user_attr(OPENINGS, opening + 1)
        self._grid = sampler if isinstance(sampler, GridSampler) else None

    def count(self) -> None:
        """Count the trials that are done, and find the best; from now on they are counted as they
        end.

        Asking the study each time would cost as much as it has trials.
        """
        self._done = 0
        self._counted: set[int] = set()
        self._best_trials = ParetoFront(self._request.objectives)
        self._look()

    def _look(self) -> None:
        """Count what has ended since, whoever ended it."""
        for trial in self.study.get_trials(deepcopy=False):
            if trial.number in self._counted:
                continue
            if trial.state.is_finished():
                self._counted.add(trial.number)
                self._done += trial.state in _DONE
                if trial.state == TrialState.COMPLETE:
                    self._best_trials.add(trial.number, tuple(trial.values))
            # What was interrupted is done once more; what runs may be, unless another supervisor is
            # at it.
            taken = trial.state.is_finished() or (
                self._shared is not None and trial.state == TrialState.RUNNING
            )
            if self._grid is not None and taken and trial.user_attrs.get(STATE) != INTERRUPTED:
                self._take(self.searched(trial))

    def heed(self, should_stop: Callable[[], object]) -> None:
        """Wait for a storage that is away only as long as nobody is impatient."""
        if isinstance(self._given, RetryingStorage):
            self._given.should_stop = should_stop

    def run_locked(self, body: Callable[[], None]) -> None:
        """Call a function while no other supervisor has a turn; perhaps twice, so it does what is
        left undone.
        """
        if self._shared is None:
            body()
        else:
            self._shared.run_locked(self._request.name, body)

    def enqueue(self, configurations: Iterable[Configuration], origin: str) -> None:
        """Have these configurations tried before the sampler's own, each once however often it is
        asked for.
        """
        # Optuna's own skip_if_exists compares each configuration with each trial: a second for one
        # among 10,000.
        known = {
            _key(trial.system_attrs.get(ENQUEUED, trial.params))
            for trial in self.study.get_trials(deepcopy=False)
        }
        for configuration in configurations:
            encoded = self._request.space.encode(configuration)
            if _key(encoded) not in known:
                known.add(_key(encoded))
                self.study.enqueue_trial(
                    encoded, user_attrs={ORIGIN: origin, BASELINE: origin == "baseline"}
                )

    def ask(self) -> Trial | None:
        """Take the next trial: one that was enqueued, else the sampler's; None if others have taken
        the last.
        """
        if self._shared is None:
            return self._ask()
        with self._shared.locked(self._request.name):  # samplers can't see what another is drawing
            return self._ask()

    def _ask(self) -> Trial | None:
        if self._shared is not None:
            self._look()
            if not self.more():
                return None
        with (
            self._storage.together()
            if isinstance(self._storage, WriteThroughStorage)
            else nullcontext()
        ):
            asked = self.study.ask()
            searched = self._request.space.draw(
                lambda name, distribution: _suggest(asked, name, distribution)
            )
            attributes = {ORIGIN: self._request.sampler, **asked.user_attrs}
            trial = self.trial_of(asked.number, searched, attributes)
            asked.set_user_attr(SEED, trial.seed)
        self._take(searched)
        self._running[asked.number] = asked
        if attributes.get(BASELINE):
            self._unpruned.add(asked.number)
        return trial

    def more(self) -> bool:
        """Return whether there is another trial to ask for."""
        if self._grid is None or self._grid.left > 0:
            return True
        return bool(self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))

    def left(self) -> int | None:
        """Return how many configurations of a grid are left to try; None where there is no end."""
        return None if self._grid is None else self._grid.left

    def searched(self, trial: FrozenTrial) -> Configuration:
        """Return what a trial's parameters mean."""
        return self._request.space.decode(trial.params)

    def settle(self, left: FrozenTrial, end: TrialEnded) -> None:
        """Record the end of a trial that an earlier supervisor left in the middle."""
        super().settle(left, end)
        self.count()

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Record the objective after an epoch; return whether the pruner stops the trial here:
        never a baseline.
        """
        trial = self._running[number]
        trial.report(value, epoch)
        return trial.should_prune() and number not in self._unpruned

    def tell(self, end: TrialEnded) -> None:
        """Record a trial's end."""
        self._running.pop(end.trial).set_user_attr(STATE, end.label)
        self.write_end(end)
        self._counted.add(end.trial)
        if end.state != "failed":
            self._done += 1
        if end.state == "complete":
            self._best_trials.add(end.trial, end.values)

    def retry(self, trial: Trial) -> None:
        """Have a trial whose worker died tried once more, with its first seed."""
        again = {ATTEMPT: trial.attempt + 1, RETRY_OF: trial.number}
        self.enqueue_again(self.trial(trial.number), f"{RETRY} {trial.number}", again)

    def enqueue_again(self, known: FrozenTrial, origin: str, attributes: Mapping[str, Any]) -> bool:
        """Have the configuration of an earlier trial tried again, with its seed; return whether it
        has one.
        """
        # What was enqueued stays so even if the trial died before all of it was taken over.
        parameters = {**known.system_attrs.get(ENQUEUED, {}), **known.params}
        if parameters:
            seed = known.user_attrs.get(SEED, trial_seed(self.seed, known.number))
            kept = {ORIGIN: origin, SEED: seed, BASELINE: known.user_attrs.get(BASELINE, False)}
            self.study.enqueue_trial(parameters, user_attrs={**kept, **attributes})
        return bool(parameters)

    def done(self) -> int:
        """Return how many trials are complete or pruned."""
        if self._shared is not None:
            self._look()
        return self._done

    def admits(self, number: int, values: Values) -> bool:
        """Return whether a complete trial of these values would be the best so far, or none would
        dominate it.
        """
        return self._best_trials.admits(number, values)

    def best_trials(self) -> Mapping[int, Values]:
        """Return the best complete trial with its values by its number; with several objectives the
        Pareto front.
        """
        return self._best_trials.ranked()

    def counts(self) -> dict[str, int]:
        """Return how many trials of the whole study are complete, pruned and failed."""
        states = [trial.state for trial in self.study.get_trials(deepcopy=False)]
        return {name: states.count(state) for name, state in STATES.items()}

    def importances(self) -> dict[str, dict[str, float]]:
        """Return for each objective's metric what each hyperparameter mattered: see
        `assay.search.importances`.
        """
        told = {
            objective.metric: importances(
                self.study, self._request.importance, self._request.space, index
            )
            for index, objective in enumerate(self._request.objectives.each)
        }
        return {metric: shares for metric, shares in told.items() if shares}

    def _take(self, configuration: Configuration) -> None:
        if self._grid is not None:
            self._grid.take(configuration)


def _key(parameters: Mapping[str, Any]) -> str:
    return json.dumps(dict(parameters), sort_keys=True)


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, step=step, log=log)
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(name, low, high, step=step, log=log)
        case _:
            raise TypeError(f"not a distribution of a space: {distribution}")
