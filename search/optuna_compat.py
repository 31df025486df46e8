"""Private parts of Optuna that Assay uses, and the releases in which they are known.

What `assay.search` uses that a release of Optuna may change without notice. Where the guard is
`is_supported`, another release gets the fallback, and tests hold both ways to equal results.

samplers/fast_tpe.py
    what: TPESampler._sample, ._compute_acquisition_func, ._get_params, ._compare and the attributes
        that these use; _tpe.sampler.default_gamma; _tpe._truncnorm._log_ndtr, replaced while
        candidates are compared; _GroupDecomposedSearchSpace; Study._get_trials
    why: Optuna converts all trials again for each new one: 58 ms among 1,000 trials, here 9
    guard: is_supported
    fallback: TPESampler
pruners/cached_halving.py
    what: functions of pruners._successive_halving and attributes of SuccessiveHalvingPruner;
        HyperbandPruner._try_initialization, ._pruners; Study._storage, FrozenTrial._trial_id
    why: Optuna reads all trials again after every epoch: 35 ms among 10,000 trials, here a tenth
    guard: is_supported, and the study is not shared
    fallback: SuccessiveHalvingPruner, HyperbandPruner
samplers/cmaes_storage.py
    what: CmaEsSampler._restore_optimizer, ._init_optimizer, ._attr_key_optimizer,
        ._attr_key_generation, ._concat_optimizer_attrs, ._cma_rng, ._popsize, ._with_margin;
        samplers._lazy_random_state.LazyRandomState; _transform._SearchSpaceTransform
    why: Optuna unpickles what the storage holds, and a pickle can run any code
    guard: check_supported, before anything is written
    fallback: none: the sampler 'cmaes' is refused
storage/postgresql.py
    what: tables of storages._rdb.models
    why: no call of Optuna's sets a trial to RUNNING and an attribute in one transaction
    guard: is_supported
    fallback: two calls; a death in between delays the trial's redo by a minute
storage/opening.py
    what: the names of the tables of storages._rdb.models
    why: Optuna creates a table that is missing, empty, beside the others
    guard: is_supported
    fallback: no check
storage/postgresql.py
    what: storages.get_storage, "only for internal usage"
    why: its cache, by which finished trials are not read again
    guard: is_supported
    fallback: no cache
samplers/grid_sampler.py, study.py
    what: "fixed_params", the system attribute of enqueued trials
    why: a trial that died before it had all of its parameters is tried again with them
    guard: tests/integration/search/test_study.py
    fallback: none
storage/stored_values.py
    what: NOT_FOUND_MSG of storages._rdb.models, the text of a KeyError
    why: any other error of a call that reads means that the database is damaged
    guard: tests/integration/experiments/test_hostile_homes.py
    fallback: a study that does not exist is called damaged
storage/retrying.py
    what: tables of storages._rdb.models
    why: Optuna loads all trials of a study to delete or to count them: 1 ms for each
    guard: is_supported
    fallback: Optuna's way
storage/retrying.py, storage/postgresql.py
    what: RDBStorage.engine, not documented
    why: closing connections; advisory locks
    guard: tests/system/search/test_shared_storage.py
    fallback: none
storage/retrying.py
    what: study._frozen.FrozenStudy, as a type
    why: BaseStorage.get_all_studies returns it
    guard: imported by the type checker alone
    fallback: not needed

The storages implement BaseStorage. WriteThroughStorage extends InMemoryStorage through its public
methods alone; a test holds the names of its attributes apart from those of InMemoryStorage.
"""

from __future__ import annotations

from importlib.metadata import version

from assay.models.errors import RequestError

_SUPPORTED = ("5.0.",)
"""Releases with which the tests have found equal suggestions and decisions."""


def is_supported() -> bool:
    """Return whether the installed Optuna is one of the known releases."""
    return version("optuna").startswith(_SUPPORTED)


def check_supported(what: str) -> None:
    """Check that the installed Optuna is one of the known releases.

    Args:
        what: what needs it, for the message.

    Raises:
        RequestError: it is another release.
    """
    if not is_supported():
        releases = ", ".join(f"{release}*" for release in _SUPPORTED)
        raise RequestError(
            f"{what} works with Optuna {releases}: received {version('optuna')}; install such a "
            "release, or choose another."
        )
