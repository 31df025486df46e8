"""Study of a sweep: asks Optuna for trials and tells it their ends."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from assay.models.seeding import trial_seed
from assay.search.events import INTERRUPTED_LABEL, TrialEnded
from assay.search.importances import ImportanceReport, report_importances
from assay.search.objective import ParetoFront, Values
from assay.search.plan import StudyRequest
from assay.search.pruners import make_pruner
from assay.search.samplers import make_sampler
from assay.search.samplers.grid_sampler import ENQUEUED, GridSampler
from assay.search.space import Configuration
from assay.search.storage.postgresql import SharedStorage
from assay.search.storage.retrying import RetryingStorage
from assay.search.storage.stored_values import (
    ATTEMPT,
    BASELINE,
    FINGERPRINT,
    OPENINGS,
    ORIGIN,
    REDO_OF,
    RETRY_OF,
    SAMPLERS,
    SEED,
    STATE,
    STUDY_ID,
    UNKNOWN_SAMPLER,
)
from assay.search.storage.write_through import WriteThroughStorage
from assay.search.study_record import StudyRecord, count_states, load_study_record
from assay.search.workers.protocol import RETRY, FollowUp, Trial

_DONE = (TrialState.COMPLETE, TrialState.PRUNED)


class StudyTrials(StudyRecord):
    """Trials of an Optuna study: the supervisor's `TrialSource`.

    Creates the study, or loads the one of that name. In a shared storage other supervisors may add
    trials at the same time.

    Args:
        storage: where the study lies; unless it is shared, no other process may write the study.
        request: what the study searches, and how.

    Raises:
        RequestError: the study of that name has another fingerprint.

    Attributes:
        supervisor: id of this supervisor on the trials of a shared study; else empty.

    Example:
        >>> study = StudyTrials(open_storage("sqlite:///mlruns/optuna.db"), request)
        >>> trial = study.ask()
        >>> study.tell(TrialEnded(trial=trial.number, state="complete", values=(0.9,)))
    """

    def __init__(self, storage: BaseStorage, request: StudyRequest) -> None:
        self._request, self._database = request, storage
        self._running: dict[int, optuna.Trial] = {}  # by number
        self._never_pruned: set[int] = set()
        self.supervisor = ""
        if isinstance(storage, SharedStorage):
            self._shared: SharedStorage | None = storage
            self._storage: BaseStorage = storage
            self._transaction: Callable[[], AbstractContextManager[None]] = nullcontext
            storage.supervisor = self.supervisor = uuid.uuid4().hex
            storage.run_locked(request.name, self._open)
        else:
            write_through = WriteThroughStorage(storage)
            self._shared, self._storage = None, write_through
            self._transaction = write_through.transaction
            self._open()
        self._count_all()

    def _open(self) -> None:
        """Create or load the study, and make its sampler and pruner.

        A shared storage calls this a second time if it loses its connection in between.
        """
        request = self._request
        # Everything that can be refused comes before the first write.
        known = load_study_record(self._storage, request.name)
        attributes = {} if known is None else known.study.user_attrs
        drawn = 0 if known is None else len(known.study.get_trials(deepcopy=False))
        if known is not None:
            known.check_fingerprint(request.fingerprint)
        self.seed = attributes.get(SEED, 0) if request.seed is None else request.seed
        self.study_id = attributes.get(STUDY_ID) or uuid.uuid4().hex
        openings = attributes.get(OPENINGS, 0)
        sampler = make_sampler(
            request.sampler,
            self.seed,
            drawn,
            request.space,
            request.sampler_options,
            len(request.objectives),
            openings,
        )
        pruner = make_pruner(
            request.pruner, request.epochs, request.pruner_options, self._shared is not None
        )
        self.study = optuna.create_study(
            storage=self._storage,
            study_name=request.name,
            directions=[objective.direction for objective in request.objectives.each],
            sampler=sampler,
            pruner=pruner,
            load_if_exists=True,
        )
        # Importance is tested by how the trials were drawn. Earlier releases did not record it.
        samplers = attributes.get(SAMPLERS) or ([UNKNOWN_SAMPLER] if drawn else [])
        # A death before the last of these leaves a study without trials, which the next start
        # completes.
        self.study.set_user_attr(SAMPLERS, list(dict.fromkeys([*samplers, request.sampler])))
        self.study.set_user_attr(SEED, self.seed)
        self.study.set_user_attr(STUDY_ID, self.study_id)
        self.study.set_user_attr(FINGERPRINT, dict(request.fingerprint))
        if self._shared is not None:
            self.study.set_user_attr(OPENINGS, openings + 1)
        self._grid = sampler if isinstance(sampler, GridSampler) else None

    def stop_waiting_when(self, should_stop: Callable[[], object]) -> None:
        """Set when waiting for the storage ends.

        A wait ends as soon as the function returns true.
        """
        if isinstance(self._database, RetryingStorage):
            self._database.should_stop = should_stop

    def run_locked(self, body: Callable[[], None]) -> None:
        """Call a function while no other supervisor holds the study's lock.

        Args:
            body: called a second time if the lock is lost; then it must do what is left undone.
        """
        if self._shared is None:
            body()
        else:
            self._shared.run_locked(self._request.name, body)

    # Counts. Asking Optuna after every trial would take as long as the study has trials, so they
    # are kept up to date as trials end.

    def _count_all(self) -> None:
        self._done = 0
        self._counted: set[int] = set()
        self._front = ParetoFront(self._request.objectives)
        self._count_ended()

    def _count_ended(self) -> None:
        """Count the trials that have ended since, in any supervisor."""
        for trial in self.study.get_trials(deepcopy=False):
            if trial.number in self._counted:
                continue
            is_finished = trial.state.is_finished()
            if is_finished:
                self._counted.add(trial.number)
                self._done += trial.state in _DONE
                if trial.state == TrialState.COMPLETE:
                    self._front.add(trial.number, tuple(trial.values))
            # An interrupted trial is redone, and so is a running one, unless another supervisor
            # runs it: their configurations stay in the grid.
            is_taken = is_finished or (
                self._shared is not None and trial.state == TrialState.RUNNING
            )
            is_redone = trial.user_attrs.get(STATE) == INTERRUPTED_LABEL
            if self._grid is not None and is_taken and not is_redone:
                self._grid.remove(self.decode_params(trial))

    def count_done(self) -> int:
        """Return the number of complete and pruned trials."""
        if self._shared is not None:
            self._count_ended()
        return self._done

    def count_by_state(self) -> dict[str, int]:
        """Return how many trials of the study are complete, pruned, failed and interrupted."""
        return count_states(self.study.get_trials(deepcopy=False))

    def admits(self, number: int, values: Values) -> bool:
        """Return whether a complete trial of these values would be among the best."""
        return self._front.admits(number, values)

    def best_trials(self) -> Mapping[int, Values]:
        """Return the values of the best trials by number: one, or the Pareto front."""
        return self._front.ranked()

    def has_next(self) -> bool:
        """Return whether there is another trial to ask for."""
        if self._grid is None or self._grid.remaining > 0:
            return True
        # An enqueued configuration need not be one of the grid.
        return bool(self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))

    def configurations_left(self) -> int | None:
        """Return how many configurations of a grid are left to try; None without a grid."""
        return None if self._grid is None else self._grid.remaining

    # The life of a trial.

    def enqueue(self, configurations: Iterable[Configuration], origin: str) -> None:
        """Enqueue configurations to be tried before the sampler's, each once.

        Args:
            configurations: those that the study has already, in any state, are skipped.
            origin: where they come from: "enqueued" or "baseline".
        """
        # Not Optuna's own `skip_if_exists`, which compares each configuration with each trial: a
        # second per configuration among 10,000 trials.
        known = {
            _configuration_key(trial.system_attrs.get(ENQUEUED, trial.params))
            for trial in self.study.get_trials(deepcopy=False)
        }
        for configuration in configurations:
            encoded = self._request.space.encode(configuration)
            key = _configuration_key(encoded)
            if key not in known:
                known.add(key)
                attributes = {ORIGIN: origin, BASELINE: origin == "baseline"}
                self.study.enqueue_trial(encoded, user_attrs=attributes)

    def ask(self) -> Trial | None:
        """Return the next trial, an enqueued one first; None if other supervisors took the last."""
        if self._shared is None:
            return self._ask()
        # A sampler cannot see what another supervisor is drawing at the same time.
        with self._shared.locked(self._request.name):
            self._count_ended()
            return self._ask() if self.has_next() else None

    def _ask(self) -> Trial:
        with self._transaction():
            asked = self.study.ask()
            searched = self._request.space.draw(
                lambda name, distribution: _suggest(asked, name, distribution)
            )
            attributes = {ORIGIN: self._request.sampler, **asked.user_attrs}
            trial = self._make_trial(asked.number, searched, attributes)
            # A redo or a retry has another number, and takes the seed over from here.
            asked.set_user_attr(SEED, trial.seed)
        if self._grid is not None:
            self._grid.remove(searched)
        self._running[asked.number] = asked
        if attributes.get(BASELINE):
            self._never_pruned.add(asked.number)
        return trial

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Record the objective after an epoch; return whether to prune the trial.

        A baseline is never pruned.
        """
        trial = self._running[number]
        trial.report(value, epoch)
        # The pruner is asked in any case: it records what a trial reaches.
        return trial.should_prune() and number not in self._never_pruned

    def tell(self, end: TrialEnded) -> None:
        """Record the end of a trial."""
        # The label first: Optuna accepts no attribute of a trial that is finished.
        self._running.pop(end.trial).set_user_attr(STATE, end.label)
        self.write_end(end)
        self._counted.add(end.trial)
        if end.state != "failed":
            self._done += 1
        if end.state == "complete":
            self._front.add(end.trial, end.values)

    def settle_trial(self, stale: FrozenTrial, end: TrialEnded) -> None:
        """Record the end of a trial that an earlier supervisor has begun."""
        super().settle_trial(stale, end)
        self._count_all()

    def enqueue_retry(self, trial: Trial) -> None:
        """Enqueue the configuration of a trial whose worker died."""
        self.enqueue_again(self.get_trial(trial.number), RETRY)

    def enqueue_again(self, frozen: FrozenTrial, follow_up: FollowUp) -> bool:
        """Enqueue the configuration and the seed of an earlier trial.

        Args:
            frozen: the earlier trial.
            follow_up: whether it is redone, or retried as a further attempt.

        Returns:
            Whether it was enqueued: a trial that died before a parameter was written has none.
        """
        # The parameters that the trial itself was enqueued with: it may have died before it had
        # all of them as its own.
        parameters = {**frozen.system_attrs.get(ENQUEUED, {}), **frozen.params}
        if not parameters:
            return False
        known = frozen.user_attrs
        attributes: dict[str, Any] = {
            ORIGIN: f"{follow_up} {frozen.number}",
            SEED: known.get(SEED, trial_seed(self.seed, frozen.number)),
            BASELINE: known.get(BASELINE, False),
        }
        if follow_up == RETRY:
            attributes |= {ATTEMPT: known.get(ATTEMPT, 1) + 1, RETRY_OF: frozen.number}
        else:
            attributes[REDO_OF] = frozen.number
            attributes |= {name: known[name] for name in (ATTEMPT, RETRY_OF) if name in known}
        self.study.enqueue_trial(parameters, user_attrs=attributes)
        return True

    def decode_params(self, frozen: FrozenTrial) -> Configuration:
        """Return the searched hyperparameters of a trial, as the space defines them."""
        return self._request.space.decode(frozen.params)

    def report_importances(self) -> dict[str, ImportanceReport]:
        """Return the importance and the effects of hyperparameters by the objectives' metrics."""
        request = self._request
        return report_importances(self.study, request.importance, request.space, request.objectives)


def _configuration_key(parameters: Mapping[str, Any]) -> str:
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
