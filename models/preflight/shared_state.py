"""State that trials of one process would share.

A factory that uses layers made outside of it, at the top of its file or in a cache, returns models
that share variables: a trial would start from what the trials before it have learned.

Variables that exist before the factory is called are recognised as shared. Of these

- weights that training changes are refused;
- frozen weights, such as those of a pre-trained part, may be shared as long as they stay the same;
- other state (of random number generators and metrics, and a backend's own variables in globals) is
  set to its initial value before each trial.

A factory may also keep something else between two calls. `FactoryMemory` compares the models of
several calls with the same arguments and seed, and their losses.
"""

from __future__ import annotations

import gc
import weakref
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.models import keras_compat
from assay.models.architectures.custom_import import FactoryReference
from assay.models.backends import current_backend
from assay.models.errors import RequestError
from assay.models.preflight.user_code import find_global, iter_globals
from assay.models.training.config import OWN

if TYPE_CHECKING:
    import keras

MakeModel = Callable[[], tuple["keras.Model", bool]]
"""Describes and compiles a model with the trial's seed; returns it and whether it came compiled."""

MeasureModel = Callable[["keras.Model"], float | None]
"""Returns the loss of a model on a few examples; None if it can't be measured."""

IMPORT_SEED = 0
"""Seed with which a user's file is imported: what it makes then is the same in every process."""


def list_variables() -> list[keras.Variable]:
    """Return all Keras variables that exist in this process.

    The names of the layers that exist are reserved: new layers get others.
    """
    import keras  # not at the top: settings are checked without a backend

    # `type`, not `isinstance`: that would ask proxies for their class, which may import it.
    items = [
        item for item in gc.get_objects() if issubclass(type(item), keras.Variable | keras.Layer)
    ]
    keras_compat.reserve_layer_names(
        item.name for item in items if isinstance(item, keras.Layer) and hasattr(item, "name")
    )
    return [item for item in items if isinstance(item, keras.Variable)]


@dataclass(frozen=True)
class _FirstSeen:
    """A variable as it was when a trial first had it, before that trial was trained.

    Attributes:
        variable: weak reference: the variables of a trial's own model go with it.
        value: initial value of what is no weight.
        checksum: checksum of a weight.
    """

    variable: weakref.ref[Any]
    value: np.ndarray[Any, Any] | None = None
    checksum: int | None = None


@dataclass
class SharedState:
    """The variables that trials of a process share, over all of its trials.

    Example:
        before = list_variables()
        model = recipe.compile(recipe.describe(input_shape, outputs))
        shared.start_trial(model, before, reference, optimizer="adam")
    """

    _first_seen: dict[int, _FirstSeen] = field(default_factory=dict)

    def start_trial(
        self,
        model: keras.Model,
        before: Iterable[keras.Variable],
        reference: FactoryReference,
        optimizer: str,
    ) -> None:
        """Refuse a model that continues an earlier one, and reset what may be shared.

        Args:
            model: compiled, not yet trained.
            before: the variables that existed before the factory was called.
            reference: the factory, for messages.
            optimizer: the optimizer under [train].

        Raises:
            RequestError: training would change a shared variable.
        """
        ids = {id(variable) for variable in before}
        trained = list(model.trainable_variables)
        if optimizer == OWN:
            trained += model.optimizer.variables
        if shared := [variable for variable in trained if id(variable) in ids]:
            raise self._refusal(model, shared, reference, "is trained in every trial")
        # The values of all variables are kept, not only of those shared by now: a layer at the top
        # of a file gets its variables in the first call of the factory.
        self._forget_deleted()
        frozen = model.non_trainable_weights
        if changed := [variable for variable in frozen if not self._is_unchanged(variable)]:
            raise self._refusal(model, changed, reference, "was changed by an earlier trial")
        weights = {id(variable) for variable in model.weights}
        for variable in (*model.variables, *model.metrics_variables):
            if id(variable) not in weights:
                self._reset(variable)
        is_variable = current_backend().is_variable
        for item in iter_globals(reference):
            if is_variable(item):
                self._reset(item)

    def _forget_deleted(self) -> None:
        self._first_seen = {
            key: seen for key, seen in self._first_seen.items() if seen.variable() is not None
        }

    def _is_unchanged(self, variable: keras.Variable) -> bool:
        """Return whether a frozen weight has the value that it was first seen with."""
        checksum = _checksum(variable)
        seen = _FirstSeen(weakref.ref(variable), checksum=checksum)
        return self._first_seen.setdefault(id(variable), seen).checksum == checksum

    def _reset(self, variable: Any) -> None:
        seen = _FirstSeen(weakref.ref(variable), value=_value(variable))
        first = self._first_seen.setdefault(id(variable), seen)
        if first is not seen and first.value is not None:
            variable.assign(first.value)

    def _refusal(
        self,
        model: keras.Model,
        shared: list[keras.Variable],
        reference: FactoryReference,
        how: str,
    ) -> RequestError:
        owner = _name_owner(shared[0], model, reference)
        count = f"{len(shared)} variable{'s' if len(shared) > 1 else ''}"
        return RequestError(
            f"{reference.text} must make what it trains anew in each call, so that no trial starts "
            f"from what another has learned: received {owner}, made before the call, with {count} "
            f"such as {shared[0].path!r}, which {how}; make it inside the function, or set its "
            "trainable to False there if it should stay as it is."
        )


@dataclass(frozen=True)
class FactoryMemory:
    """What a factory keeps from one call to the next, beside the variables of its models.

    A default argument that grows, weights that are kept in a global or a file and set again, and
    variables that no model tracks, carry what one trial did into the next.

    Attributes:
        reference: the factory.
        initial: checksums of the weights of its first model, by place and shape.
        is_repeatable: whether a second model had the same weights.
        measure: returns the loss of a model on a few examples.
        initial_loss: that of the first model.
        outside: the variables that exist beside those of the first model, with their checksums.
        existed: ids of those that existed before the first call.
    """

    reference: FactoryReference
    initial: Mapping[str, int]
    is_repeatable: bool
    measure: MeasureModel
    initial_loss: float | None
    outside: Sequence[tuple[Any, int | None]]
    existed: frozenset[int]

    @classmethod
    def start(
        cls,
        reference: FactoryReference,
        model: keras.Model,
        make_model: MakeModel,
        before: Iterable[keras.Variable],
        measure: MeasureModel,
    ) -> FactoryMemory:
        """Call the factory a second time.

        Args:
            reference: the factory.
            model: of its first call, not yet trained.
            make_model: calls it with the same arguments and seed.
            before: the variables that existed before the first call.
            measure: returns the loss of a model on a few examples.

        Raises:
            RequestError: the second model has other shapes.
        """
        initial_loss = measure(model)  # at once, since random numbers follow from the seed
        initial = _checksums(model)
        existed = frozenset(id(variable) for variable in before)
        outside = [(variable, _try_checksum(variable)) for variable in list_variables()]
        again, _ = make_model()
        shapes, other_shapes = (
            [tuple(weight.shape) for weight in each.weights] for each in (model, again)
        )
        if shapes != other_shapes:
            raise _forgets_nothing(
                reference,
                f"a model of {model.count_params():,} parameters, then one of "
                f"{again.count_params():,}",
            )
        is_repeatable = _checksums(again) == initial
        return cls(reference, initial, is_repeatable, measure, initial_loss, outside, existed)

    def check_after_training(self, model: keras.Model, make_model: MakeModel) -> None:
        """Check that training the first model has changed nothing but that model.

        Args:
            model: of the first call, trained.
            make_model: as in `start`.

        Raises:
            RequestError: it has.
        """
        # Known only now: metrics get their variables in training.
        tracked = {id(v) for v in (*model.variables, *model.metrics_variables)}
        tracked |= {id(variable) for variable in model.optimizer.variables}
        for variable, checksum in self.outside:
            if id(variable) in tracked or _try_checksum(variable) == checksum:
                continue
            # One that the first call has made is shared only if a global holds it.
            if id(variable) in self.existed or _find_owner(variable, self.reference) is not None:
                raise _forgets_nothing(
                    self.reference,
                    f"a variable {variable.path!r} outside of the model that training changes",
                )
        # Random weights that do not follow from the seed tell nothing.
        if self.is_repeatable:
            again, _ = make_model()
            if _checksums(again) != self.initial:
                raise _forgets_nothing(
                    self.reference, "other initial weights after a training than before it"
                )
            loss, first = self.measure(again), self.initial_loss
            if loss is None or first is None:
                return
            if not np.isclose(loss, first, rtol=1e-3, equal_nan=True):
                raise _forgets_nothing(
                    self.reference,
                    f"losses of {first:.4g} and {loss:.4g} for the same weights and examples",
                )


def _forgets_nothing(reference: FactoryReference, received: str) -> RequestError:
    return RequestError(
        f"{reference.text} must return the same untrained model whenever it is called with the "
        f"same arguments and seed: received {received}; keep nothing between two calls, such as in "
        "a global, a default argument or a file."
    )


def _checksums(model: keras.Model) -> dict[str, int]:
    """Return a checksum of each weight, by its place and shape."""
    return {
        f"{place} {tuple(weight.shape)}": _checksum(weight)
        for place, weight in enumerate(model.weights)
    }


def _try_checksum(variable: keras.Variable) -> int | None:
    """Return the checksum of any variable of this process; None if it has no value."""
    try:
        return _checksum(variable)
    except Exception:
        return None  # not initialized, or given away to a computation of JAX


def _checksum(variable: keras.Variable) -> int:
    return zlib.crc32(_value(variable).tobytes())


def _value(variable: Any) -> np.ndarray[Any, Any]:
    import keras  # not at the top: settings are checked without a backend

    return np.array(keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(variable)))


def _name_owner(variable: keras.Variable, model: keras.Model, reference: FactoryReference) -> str:
    """Return the name of a shared part with a variable, and where a module assigns it."""
    found = _find_owner(variable, reference)
    parts = [*model.layers, model.optimizer]
    part = next(part for part in parts if _owns(part, variable)) if found is None else found[0]
    name = f"{type(part).__name__} {getattr(part, 'name', '')!r}"
    return name if found is None else f"{name} ({found[1]})"


def _find_owner(variable: keras.Variable, reference: FactoryReference) -> tuple[object, str] | None:
    """Return the global of a user's module that has a variable, and where it is assigned."""
    return find_global(reference, lambda item: _owns(item, variable))


def _owns(item: object, variable: keras.Variable) -> bool:
    import keras  # not at the top: settings are checked without a backend

    kinds = (keras.Layer, keras.optimizers.Optimizer)
    return item is variable or (
        isinstance(item, kinds) and any(other is variable for other in item.variables)
    )
