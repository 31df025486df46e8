"""Models of a user's own: made by a function of theirs, trained like any other family."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

from pydantic import ConfigDict, model_validator

from assay.models.architectures.custom_import import (
    Factory,
    FactoryReference,
    attribute_user_errors,
    load_factory,
)
from assay.models.errors import RequestError
from assay.models.names import suggestion
from assay.models.settings import Settings
from assay.models.tasks import Task

if TYPE_CHECKING:
    import keras

WIDTH: Mapping[Task, str] = {"classification": "classes", "regression": "outputs"}
"""What a factory calls the number of its model's outputs."""

_PROBE_IMAGES = 2


class CustomSettings(Settings):
    """The hyperparameters of a factory: any plain values. What they are, its signature says."""

    model_config = ConfigDict(extra="allow")

    @property
    def values(self) -> dict[str, Any]:
        """The hyperparameters by name."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _can_be_passed_on(self) -> Self:
        for name, value in self.values.items():
            if name in ("input_shape", "family", "scale", *WIDTH.values()):
                raise RequestError(f"{name} follows from the data: received {value!r}; remove it.")
            if not _is_plain(value):
                raise RequestError(
                    f"{name}: must be a text, a number, a boolean or a list of them; received {value!r}."
                )
        return self


Describe = Callable[[CustomSettings, tuple[int, ...], int], "keras.Model"]


def describer(reference: FactoryReference, task: Task) -> Describe:
    """Return what calls a user's factory and sees that it made a model for the data.

    The factory is called as `function(input_shape=..., classes=..., **hyperparameters)`, in
    regression with `outputs` in place of `classes`, and returns a new Keras model, functional,
    sequential or subclassed, compiled or not, that gives logits (batch, classes), in regression
    values (batch, outputs), without a softmax.
    """

    def describe(
        settings: CustomSettings, input_shape: tuple[int, ...], outputs: int
    ) -> keras.Model:
        import keras  # not at the top: settings are checked without a backend

        # What a user's code raises is told in its own words; Keras adds a page to them. Forgotten
        # with Keras' session.
        keras.config.disable_traceback_filtering()
        function = load_factory(reference)
        given = {"input_shape": input_shape, WIDTH[task]: outputs}
        check_arguments(function, reference, tuple(given), settings.values)
        with attribute_user_errors(reference, "calling it"):
            model = function(**given, **settings.values)
        check_model(model, reference, input_shape, outputs, WIDTH[task])
        return model

    return describe


def check_arguments(
    function: Factory,
    reference: FactoryReference,
    given: tuple[str, ...],
    hyperparameters: Mapping[str, Any],
) -> None:
    """See that a factory takes what it will be given, and will be given what it needs.

    Args:
        function: the factory.
        reference: its name.
        given: names of what follows from the data.
        hyperparameters: what the user gives.

    Raises:
        RequestError: a name it does not take, with the nearest that it does; or one that is
            missing.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some callables written in C have no signature to be looked at
        return
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    names = [p.name for p in named]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        for name in given:
            if name not in names:
                raise RequestError(
                    f"{reference.text} must take {name!r}, which follows from the data: it takes {_listed(names)}; "
                    f"add it to its arguments."
                )
        for name in hyperparameters:
            if name not in names:
                own = [known for known in names if known not in given]
                raise RequestError(
                    f"[model] does not know {name!r}: {reference.text} takes {_listed(own)}.{suggestion(name, own)}"
                )
    for p in named:
        if p.default is p.empty and p.name not in given and p.name not in hyperparameters:
            raise RequestError(
                f"[model] must say {p.name!r}: {reference.text} has no default for it; add it, or search it."
            )


_described: weakref.WeakSet[Any] = weakref.WeakSet()


def check_model(
    model: Any, reference: FactoryReference, input_shape: tuple[int, ...], outputs: int, width: str
) -> None:
    """See that a factory made a new model that can be trained on the data; one without weights is
    built by the way.

    Raises:
        RequestError: it made something else, the same model as before, or one with other inputs or
            outputs.
    """
    import keras  # not at the top: settings are checked without a backend
    import numpy as np

    if not isinstance(model, keras.Model):
        raise RequestError(
            f"{reference.text} must return a keras.Model: received {model!r:.80}; return the model."
        )
    if model in _described:
        raise RequestError(
            f"{reference.text} must make a new model each time: received that of an earlier call."
        )
    _described.add(model)
    probe = np.zeros((_PROBE_IMAGES, *input_shape), np.float32)
    with attribute_user_errors(
        reference, f"calling its model on inputs of shape {_batch(input_shape)}"
    ):
        given = model(probe, training=False)
    if tuple(getattr(given, "shape", ())) != (_PROBE_IMAGES, outputs):
        shape = getattr(given, "shape", None)
        received = f"a {type(given).__name__}" if shape is None else _batch(tuple(shape)[1:])
        raise RequestError(
            f"the model of {reference.text} must give {_batch((outputs,))}, a number for each of {width}: received "
            f"{received}; let it end with keras.layers.Dense({width})."
        )


def _batch(shape: tuple[int, ...]) -> str:
    return f"(batch, {', '.join(map(str, shape))})" if shape else "(batch,)"


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing"


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, str | int | float)
