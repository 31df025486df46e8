"""CMA-ES that resumes from its state in the storage, without unpickling anything else.

Optuna stores the state as a pickle. A pickle can run any code, and other users may write to a
storage. So only NumPy's arrays and numbers are unpickled. The classes of the package cmaes are
stand-ins, whose content is compared with that of a new optimizer before it becomes one.
"""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import cmaes
import numpy as np
import optuna
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution
from optuna.samplers import CmaEsSampler
from optuna.samplers._lazy_random_state import LazyRandomState
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from assay.models.data import Array
from assay.models.errors import SearchError

_MOST_CHARACTERS = 32 << 20  # two for each byte; 1,000 ranges need 8 MB
_MOST_TRIALS = 100_000  # of a generation
_LIMIT = 1e32  # the largest number that cmaes accepts for a mean

# What changes as trials end; everything else follows from the space and the size of a generation.
_NUMBERS = {"_sigma", "_g", "_lr_adapt", "_Vmean", "_VSigma", "_eta_mean", "_eta_Sigma"}
_ARRAYS = {
    *("_p_sigma", "_pc", "_mean", "_c_1d", "_C", "_Emean", "_ESigma", "_funhist_values"),
    *("_A", "m_z_lim_low", "m_z_lim_up"),
}
_DECOMPOSED = {"_D": 1, "_B": 2}  # number of axes; None until they are needed


class SafeCmaEsSampler(CmaEsSampler):
    """`CmaEsSampler` that checks the state that it reads.

    Args:
        most_ranges: number of hyperparameters in the search space.
        options: the arguments of `CmaEsSampler`.

    Raises:
        SearchError: by asking for a trial, if the state in the storage is not one of CMA-ES.
    """

    def __init__(self, most_ranges: int, **options: Any) -> None:
        super().__init__(**options)
        self._most_ranges = most_ranges
        self._asked: tuple[dict[str, BaseDistribution], StudyDirection] | None = None

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose values, as Optuna does."""
        self._asked = search_space, study.direction
        return super().sample_relative(study, trial, search_space)

    def _restore_optimizer(self, completed_trials: Sequence[FrozenTrial]) -> Any:
        for trial in reversed(completed_trials):
            parts = {
                key: part
                for key, part in trial.system_attrs.items()
                if key.startswith(self._attr_key_optimizer)
            }
            if parts:
                try:
                    return self._load(parts, completed_trials)
                # What NumPy raises for a malformed array, too.
                except (
                    *(pickle.UnpicklingError, EOFError, MemoryError, OverflowError),
                    *(ValueError, TypeError, LookupError, AttributeError, RecursionError),
                ) as error:
                    raise SearchError(
                        f"the state of sampler 'cmaes' kept with trial {trial.number} is not one "
                        f"that it wrote ({error}): go on with another --sampler."
                    ) from None
        return None

    def _load(self, parts: Mapping[str, str], trials: Sequence[FrozenTrial]) -> Any:
        """Return the optimizer of a stored state.

        Raises:
            ValueError: the state is malformed; or another error of pickle or NumPy.
        """
        text = self._concat_optimizer_attrs(dict(parts))
        if len(text) > _MOST_CHARACTERS:
            raise ValueError(f"it has {len(text)} characters, more than {_MOST_CHARACTERS}")
        stored = _resolve(_StateUnpickler(io.BytesIO(bytes.fromhex(text))).load())
        if not isinstance(stored, _Stored):
            raise ValueError(f"it is a {type(stored).__name__}")
        assert self._asked is not None, "a state is restored while a trial is asked for"
        space, direction = self._asked
        inner = stored.content.get("_cma", stored)
        ranges, trials_each = inner.content["_n_dim"], inner.content["_popsize"]
        # Conditions leave fewer ranges that all trials have. Then Optuna draws at random, and looks
        # at nothing but the number of ranges.
        _check_integer("number of ranges", ranges, len(space), self._most_ranges)
        _check_integer("number of trials of a generation", trials_each, 2, _MOST_TRIALS)
        if ranges != len(space):
            return stored
        optimizer = self._make_new(space, direction, trials_each)
        _check_content(stored, optimizer)
        restored = _restore(stored, optimizer)
        if self._with_margin:
            self._check_solutions(trials, restored)
        return restored

    def _make_new(
        self, space: dict[str, BaseDistribution], direction: StudyDirection, trials_each: int
    ) -> Any:
        sampler = copy.copy(self)
        sampler._cma_rng = LazyRandomState(0)  # the study's own must not move on
        sampler._popsize = trials_each
        transform = _SearchSpaceTransform(
            space, transform_step=not self._with_margin, transform_0_1=True
        )
        return sampler._init_optimizer(transform, direction)

    def _check_solutions(self, trials: Sequence[FrozenTrial], optimizer: Any) -> None:
        for trial in trials:
            if trial.system_attrs.get(self._attr_key_generation) == optimizer.generation:
                solution = np.array(trial.system_attrs["x_for_tell"])
                _check_array("x_for_tell", solution, (optimizer.dim,), np.dtype(float))


class _Stored:
    """Stands for an object of cmaes while its state is unpickled.

    Attributes:
        target: the class that it stands for.
        content: the attributes.
    """

    target: type

    def __init__(self) -> None:
        self.content: dict[str, Any] = {}

    def __setstate__(self, content: dict[str, Any]) -> None:
        self.content = dict(content)

    @property
    def dim(self) -> int:
        """Number of ranges."""
        return int(self.content.get("_cma", self).content["_n_dim"])


_STAND_INS: Mapping[tuple[str, str], type[_Stored]] = {
    (target.__module__, target.__name__): type(target.__name__, (_Stored,), {"target": target})
    for target in (cmaes.CMA, cmaes.SepCMA, cmaes.CMAwM)
}


class _StoredType:
    """Stands for a dtype of NumPy while a state is unpickled.

    NumPy's own believes what a state says of itself, and would follow pointers from there.
    """

    def __init__(self, kind: str, *flags: object) -> None:
        self._kind, self._order = kind, "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._order = state[1]

    def to_numpy(self) -> np.dtype[Any]:
        """Return the dtype.

        Raises:
            ValueError: it is not one of plain numbers.
        """
        if self._kind not in _PLAIN_TYPES or self._order not in ("<", "|", "="):
            raise ValueError("an array has other elements than numbers")
        return np.dtype(self._kind)


class _StoredArray:
    """Stands for an array of NumPy while a state is unpickled."""

    array: Array

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, is_fortran, content = state
        # A content of another size can't have the shape.
        flat = np.frombuffer(content, kind.to_numpy())
        self.array = flat.reshape(shape, order="F" if is_fortran else "C").copy()


def _reconstruct(kind: object, shape: object, code: object) -> _StoredArray:
    if kind is not _StoredArray:
        raise ValueError("an array is of another class")
    return _StoredArray()


def _scalar(kind: _StoredType, content: bytes) -> Any:
    return np.frombuffer(content, kind.to_numpy(), count=1)[0]


_PLAIN_TYPES = ("f8", "f4", "i8", "i4", "u8", "u4", "b1")
_NUMPY_STAND_INS: Mapping[tuple[str, str], Any] = {
    ("numpy", "dtype"): _StoredType,
    ("numpy", "ndarray"): _StoredArray,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "scalar"): _scalar,
}


class _StateUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = {**_STAND_INS, **_NUMPY_STAND_INS}
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of it")
        return known[module, name]


def _resolve(value: Any) -> Any:
    """Return a value with arrays in the place of what stands for them."""
    match value:
        case _StoredArray():
            return value.array
        case _Stored():
            value.content = {name: _resolve(item) for name, item in value.content.items()}
            return value
        case _StoredType():
            raise ValueError("a type is no part of it")
        case list() | tuple():
            return type(value)(map(_resolve, value))
        case dict():
            return {name: _resolve(item) for name, item in value.items()}
        case _:
            return value


def _restore(stored: _Stored, new: Any) -> Any:
    """Give a new optimizer the stored content, and return it."""
    content = dict(stored.content)
    if isinstance(content.get("_cma"), _Stored):
        content["_cma"] = _restore(content["_cma"], new._cma)
    if hasattr(new, "__setstate__"):
        new.__setstate__(content)
    else:
        new.__dict__.update(content)
    return new


def _check_content(stored: Any, new: Any) -> None:
    """Check that a stored object has what a new one has, of the same types and shapes.

    Raises:
        ValueError: it has not.
    """
    kind: type = type(new)
    if not isinstance(stored, _Stored) or stored.target is not kind:
        raise ValueError(f"it is no {kind.__name__}")
    expected = new.__getstate__()
    if stored.content.keys() != expected.keys():
        raise ValueError(f"its attributes are {', '.join(map(str, stored.content))[:200]}")
    for name, value in stored.content.items():
        if name == "_cma":
            _check_content(value, expected[name])
        elif name in _DECOMPOSED:
            if value is not None:
                shape = (new.dim,) * _DECOMPOSED[name]
                _check_array(name, value, shape, np.dtype(float))
        elif name in _ARRAYS:
            _check_array(name, value, expected[name].shape, expected[name].dtype)
        elif name in _NUMBERS:
            _check_number(name, value, expected[name])
        elif type(value) is not type(expected[name]) or not np.array_equal(value, expected[name]):
            raise ValueError(f"its {name} is {_shown(value)}, not {_shown(expected[name])}")


def _check_array(name: str, value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if not isinstance(value, np.ndarray) or (value.shape, value.dtype) != (shape, dtype):
        received = f"{getattr(value, 'dtype', type(value).__name__)}{getattr(value, 'shape', '')}"
        raise ValueError(f"its {name} is {received}, not {dtype}{shape}")
    # Values that cmaes has not written yet are whatever was in memory.
    if name != "_funhist_values" and not (np.abs(value) < _LIMIT).all():
        raise ValueError(f"its {name} has numbers that are not finite, or too large")


def _check_number(name: str, value: Any, expected: Any) -> None:
    kinds: Any = {bool: bool, int: int}.get(type(expected), (float, np.floating))
    if not isinstance(value, kinds) or not abs(value) < _LIMIT or value < 0:
        raise ValueError(f"its {name} is {_shown(value)}")
    if name == "_sigma" and value == 0:
        raise ValueError("its _sigma is 0")


def _shown(value: Any) -> str:
    return " ".join(str(value).split())[:50]


def _check_integer(what: str, value: Any, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"its {what} is {_shown(value)}, not {low} to {high}")
