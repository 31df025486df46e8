"""TPE in a fraction of Optuna's time per trial, with the same suggestions.

For every new trial Optuna sorts all trials as objects, converts the parameters of each to numbers,
and computes the logarithm of the normal distribution one number at a time. Here the trials are
columns of arrays that are written once, and SciPy computes the logarithm.

Time to ask for a trial in the space of mnist-mlp, in milliseconds:

    trials in the study      100     1,000    10,000
    TPESampler                16        58       134
    FastTPESampler             5         9        36

`assay.search.optuna_compat` lists the private parts of Optuna that this uses.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe import _truncnorm
from optuna.samplers._tpe.sampler import default_gamma
from optuna.search_space.group_decomposed import _GroupDecomposedSearchSpace, _SearchSpaceGroup
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

TrialNumbers = NDArray[np.int64]
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
_INITIAL_ROWS = 1024


class FastTPESampler(TPESampler):
    """`TPESampler` that keeps the trials of a study in arrays.

    With several objectives it is Optuna's own. Assay gives a sampler no constraints.

    Args:
        options: the arguments of `TPESampler`.

    Example:
        >>> study = optuna.create_study(sampler=FastTPESampler(seed=0))
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._table = _TrialTable()
        if self._group:
            self._group_decomposed_search_space = _IncrementalGroups(include_pruned=True)

    def _sample(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        # As `TPESampler._sample`, step by step.
        if len(study.directions) > 1:
            return super()._sample(study, trial, search_space)
        trials = study._get_trials(deepcopy=False)
        running = [
            other
            for other in self._table.update(trials)
            if self._constant_liar and other.number != trial.number
        ]
        good, bad = self._table.split(study.direction, default_gamma)
        # "Constant liar": running trials count as bad ones.
        running_numbers = np.array([other.number for other in running], np.int64)
        bad = np.sort(np.concatenate([bad, running_numbers]))
        running_params = {other.number: self._get_params(other, study) for other in running}
        below, above = (
            self._parzen_estimator_cls(
                self._table.observations(numbers, search_space, trials, running_params),
                search_space,
                self._parzen_estimator_parameters,
            )
            for numbers in (good, bad)
        )
        candidates = below.sample(self._rng.rng, self._n_ei_candidates)
        best = self._compare(candidates, self._compute_acquisition_func(candidates, below, above))
        return {
            name: distribution.to_external_repr(best[name])
            for name, distribution in search_space.items()
        }

    def _compute_acquisition_func(self, *arguments: Any) -> NDArray[np.float64]:
        with _scipy_log_ndtr():
            return super()._compute_acquisition_func(*arguments)


class _IncrementalGroups(_GroupDecomposedSearchSpace):
    """Groups of parameters that exist together; each trial is looked at once."""

    def __init__(self, include_pruned: bool) -> None:
        super().__init__(include_pruned)
        self._known: set[int] = set()

    def calculate(self, study: optuna.Study, use_cache: bool = False) -> _SearchSpaceGroup:
        for trial in study._get_trials(deepcopy=False, states=_ENDED, use_cache=use_cache):
            if trial.number not in self._known:
                self._known.add(trial.number)
                self._search_space.add_distributions(trial.distributions)
        return copy.deepcopy(self._search_space)


class _TrialTable:
    """The trials of a study as columns, indexed by trial number."""

    def __init__(self) -> None:
        self._complete_values = _Column()  # NaN for any other trial
        self._pruned_epochs = _Column()  # the last epoch of a pruned trial, -1 if it had none
        self._pruned_values = _Column()
        self._params: dict[str, tuple[BaseDistribution, _Column]] = {}
        self._unfinished: set[int] = set()  # of the trials that were looked at
        self._length = 0

    def update(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Add the trials that have ended since the last call; return the running ones.

        Args:
            trials: all trials of the study, in the order of their numbers.
        """
        self._unfinished |= set(range(self._length, len(trials)))
        self._length = len(trials)
        for number in sorted(self._unfinished):
            trial = trials[number]
            if trial.state.is_finished():  # nothing of it changes any more
                self._add(trial)
                self._unfinished.discard(number)
        return [
            trials[number]
            for number in sorted(self._unfinished)
            if trials[number].state == TrialState.RUNNING
        ]

    def split(
        self, direction: StudyDirection, gamma: Callable[[int], int]
    ) -> tuple[TrialNumbers, TrialNumbers]:
        """Return the numbers of the good and of the bad trials, each in ascending order.

        Complete trials are ranked by their values. Behind them are the pruned ones, ranked by
        their last epoch, then by their values.

        Args:
            direction: the direction of the objective.
            gamma: returns the number of good trials among so many.
        """
        sign = -1.0 if direction == StudyDirection.MAXIMIZE else 1.0
        complete = np.flatnonzero(~np.isnan(self._complete_values.values))
        order = np.argsort(sign * self._complete_values.values[complete], kind="stable")
        complete = complete[order]
        pruned = np.flatnonzero(~np.isnan(self._pruned_epochs.values))
        losses = np.nan_to_num(sign * self._pruned_values.values[pruned], nan=np.inf)
        # The last key of lexsort is the first to sort by.
        pruned = pruned[np.lexsort((losses, -self._pruned_epochs.values[pruned]))]
        ranked = np.concatenate([complete, pruned])
        count = gamma(len(ranked))
        return np.sort(ranked[:count]), np.sort(ranked[count:])

    def observations(
        self,
        numbers: TrialNumbers,
        space: Mapping[str, BaseDistribution],
        trials: Sequence[FrozenTrial],
        running: Mapping[int, Mapping[str, Any]],
    ) -> dict[str, NDArray[np.float64]]:
        """Return the parameters of some trials by name, as Optuna's internal numbers.

        Args:
            numbers: the trials; those that lack a parameter are left out.
            space: the parameters.
            trials: all trials of the study, for a parameter that has no column so far.
            running: the parameters of running trials by number: they may change until they end.
        """
        columns = [self._column(name, distribution, trials) for name, distribution in space.items()]
        for number, params in running.items():
            for (name, distribution), column in zip(space.items(), columns, strict=True):
                column[number] = _internal_value(params, name, distribution)
        # One row per parameter, one column per trial.
        rows = np.stack([column.values[numbers] for column in columns])
        rows = rows[:, ~np.isnan(rows).any(axis=0)]
        return dict(zip(space, rows, strict=True))

    def _add(self, trial: FrozenTrial) -> None:
        if trial.state == TrialState.COMPLETE:
            self._complete_values[trial.number] = trial.values[0]
        elif trial.state == TrialState.PRUNED:
            epoch, value = max(trial.intermediate_values.items(), default=(-1, 0.0))
            self._pruned_epochs[trial.number] = float(epoch)
            self._pruned_values[trial.number] = value
        for name, (distribution, column) in self._params.items():
            column[trial.number] = _internal_value(trial.params, name, distribution)

    def _column(
        self, name: str, distribution: BaseDistribution, trials: Sequence[FrozenTrial]
    ) -> _Column:
        known = self._params.get(name)
        if known is not None and known[0] == distribution:
            return known[1]
        # Internal numbers depend on the distribution, which may be another one in a new session.
        column = _Column()
        for trial in trials:
            column[trial.number] = _internal_value(trial.params, name, distribution)
        self._params[name] = (distribution, column)
        return column


class _Column:
    """An array of floats that grows; NaN where no value was set."""

    def __init__(self) -> None:
        self._buffer = np.full(_INITIAL_ROWS, np.nan)
        self._length = 0

    @property
    def values(self) -> NDArray[np.float64]:
        """The array, up to the last index that was set."""
        return self._buffer[: self._length]

    def __setitem__(self, index: int, value: float) -> None:
        # Doubled, so that n trials cost O(n) copies.
        while index >= len(self._buffer):
            self._buffer = np.concatenate([self._buffer, np.full(len(self._buffer), np.nan)])
        self._buffer[index] = value
        self._length = max(self._length, index + 1)


def _internal_value(params: Mapping[str, Any], name: str, distribution: BaseDistribution) -> float:
    return distribution.to_internal_repr(params[name]) if name in params else math.nan


@contextmanager
def _scipy_log_ndtr() -> Iterator[None]:
    """Have Optuna call SciPy for the logarithm of the normal distribution.

    The results are equal to 15 digits, 20 times as fast. This is for comparing candidates alone:
    drawing them stays Optuna's own, digit by digit.
    """
    import scipy.special  # here: not needed before the first trials have ended

    original = _truncnorm._log_ndtr
    _truncnorm._log_ndtr = scipy.special.log_ndtr
    try:
        yield
    finally:
        _truncnorm._log_ndtr = original
