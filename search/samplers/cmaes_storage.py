"""CMA-ES that resumes from its state in the storage, without unpickling anything else.

Optuna stores the state as a pickle. A pickle can run any code, and other users may write to a
storage. So only the classes that such a state consists of are unpickled.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any

from optuna.samplers import CmaEsSampler
from optuna.trial import FrozenTrial

from assay.models.errors import SearchError

_STATE_CLASSES = {
    ("cmaes._cma", "CMA"),
    ("cmaes._sepcma", "SepCMA"),
    ("cmaes._cmawm", "CMAwM"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
}


class SafeCmaEsSampler(CmaEsSampler):
    """`CmaEsSampler` with a restricted unpickler.

    Raises:
        SearchError: by asking for a trial, if the state in the storage is not one of CMA-ES.
    """

    def _restore_optimizer(self, completed_trials: Sequence[FrozenTrial]) -> Any:
        for trial in reversed(completed_trials):
            parts = {
                key: part
                for key, part in trial.system_attrs.items()
                if key.startswith(self._attr_key_optimizer)
            }
            if parts:
                return _load_state(self._concat_optimizer_attrs(parts), trial.number)
        return None


class _StateUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STATE_CLASSES:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of it")
        return super().find_class(module, name)


def _load_state(text: str, trial: int) -> Any:
    try:
        return _StateUnpickler(io.BytesIO(bytes.fromhex(text))).load()
    except (pickle.UnpicklingError, ValueError, EOFError) as error:
        raise SearchError(
            f"the state of sampler 'cmaes' kept with trial {trial} is not one that it wrote "
            f"({error}): go on with another --sampler."
        ) from None
