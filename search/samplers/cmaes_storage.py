"""How CMA-ES goes on where it stood: Optuna keeps its state in the storage, pickled.

A pickle can run anything, and a storage may be one that others write to. So only what such a state
is made of is unpickled: the strategies of the package `cmaes`, and numpy's arrays and numbers.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any

from optuna.samplers import CmaEsSampler
from optuna.trial import FrozenTrial

from assay.models.errors import SearchError

_STATE = {
    ("cmaes._cma", "CMA"),
    ("cmaes._sepcma", "SepCMA"),
    ("cmaes._cmawm", "CMAwM"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
}


class RestoringCmaEs(CmaEsSampler):
    """Optuna's sampler, but for how it reads its own state.

    Raises:
        SearchError: when it is asked for a configuration and the state in the storage is not one
            that it wrote.
    """

    def _restore_optimizer(self, completed_trials: Sequence[FrozenTrial]) -> Any:
        for trial in reversed(completed_trials):
            parts = {
                key: part
                for key, part in trial.system_attrs.items()
                if key.startswith(self._attr_key_optimizer)
            }
            if parts:
                return _read_state(self._concat_optimizer_attrs(parts), trial.number)
        return None


class _StateUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STATE:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of it")
        return super().find_class(module, name)


def _read_state(text: str, trial: int) -> Any:
    try:
        return _StateUnpickler(io.BytesIO(bytes.fromhex(text))).load()
    except (pickle.UnpicklingError, ValueError, EOFError) as error:
        raise SearchError(
            f"the state of sampler 'cmaes' kept with trial {trial} is not one that it wrote ({error}): "
            "go on with another --sampler."
        ) from None
