"""User-defined models, made by a function of the user."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
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
from assay.models.training.config import TrainSettings

if TYPE_CHECKING:
    import keras

OUTPUTS_ARGUMENT: Mapping[Task, str] = {"classification": "classes", "regression": "outputs"}
"""The argument of a factory that is the number of outputs."""

_PROBE_IMAGES = 2

# Models that factories returned, to refuse one that is returned again.
_known_models: weakref.WeakSet[Any] = weakref.WeakSet()


class CustomSettings(Settings):
    """Hyperparameters of a factory: any plain values.

    `check_arguments` compares them with the signature of the factory in a worker.
    """

    model_config = ConfigDict(extra="allow")

    @property
    def values(self) -> dict[str, Any]:
        """The hyperparameters by name."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _check_values(self) -> Self:
        for name, value in self.values.items():
            if name in ("input_shape", "family", "scale", *OUTPUTS_ARGUMENT.values()):
                raise RequestError(
                    f"[model] {name}: is a reserved name, because it follows from the data; "
                    f"received {value!r}: remove it, or give the argument another name."
                )
            if not _is_plain(value):
                raise RequestError(
                    f"{name}: must be a text, a number, a boolean or a list of them; "
                    f"received {value!r}."
                )
        return self


Describe = Callable[[CustomSettings, tuple[int, ...], int], "keras.Model"]


def make_describe(reference: FactoryReference, task: Task) -> Describe:
    """Return a function that calls the user's factory.

    The factory is called as `function(input_shape=..., classes=..., **hyperparameters)`, in
    regression with `outputs` in place of `classes`. It returns a new Keras model, functional,
    sequential or subclassed, compiled or not. Its outputs are logits (batch, classes), without a
    softmax; in regression values (batch, outputs).

    Args:
        reference: names the factory.
        task: task of the models.
    """

    def describe(
        settings: CustomSettings, input_shape: tuple[int, ...], outputs: int
    ) -> keras.Model:
        import keras  # not at the top: settings are checked without a backend

        # Keras would add a page to the message of the user's exception. Clearing Keras'
        # session at the end of the trial enables the filtering again.
        keras.config.disable_traceback_filtering()
        function = load_factory(reference)
        data_arguments = {"input_shape": input_shape, OUTPUTS_ARGUMENT[task]: outputs}
        check_arguments(function, reference, tuple(data_arguments), settings.values)
        with attribute_user_errors(reference, "calling it"):
            model = function(**data_arguments, **settings.values)
        check_model(model, reference, input_shape, outputs, OUTPUTS_ARGUMENT[task])
        return model

    return describe


def check_arguments(
    function: Factory,
    reference: FactoryReference,
    data_arguments: tuple[str, ...],
    hyperparameters: Mapping[str, Any],
) -> None:
    """Check the arguments of a factory.

    Args:
        function: the factory.
        reference: names it in error messages.
        data_arguments: names of the arguments that follow from the data.
        hyperparameters: values of the others.

    Raises:
        RequestError: the factory has no such argument, or one without a default is missing.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some callables written in C have no signature
        return
    by_name = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    names = [p.name for p in by_name]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        for name in data_arguments:
            if name not in names:
                raise RequestError(
                    f"{reference.text} must take {name!r}, which follows from the data: "
                    f"it takes {_join(names)}; add it to its arguments."
                )
        for name in hyperparameters:
            if name not in names:
                known = [other for other in names if other not in data_arguments]
                raise RequestError(
                    f"[model] does not know {name!r}: {reference.text} takes {_join(known)}."
                    f"{suggestion(name, known)}"
                )
    for p in by_name:
        if p.default is p.empty and p.name not in (*data_arguments, *hyperparameters):
            # In [space] the plain name goes to [train] if that has it: it may be searched already.
            advice = (
                f"add it, or search model.{p.name}, since a plain {p.name} goes to [train]."
                if p.name in TrainSettings.model_fields
                else "add it, or search it."
            )
            raise RequestError(
                f"[model] must say {p.name!r}: {reference.text} has no default for it; {advice}"
            )


def check_model(
    model: Any, reference: FactoryReference, input_shape: tuple[int, ...], outputs: int, width: str
) -> None:
    """Check the model that a factory made.

    A model that has no weights yet is built.

    Args:
        model: what the factory returned.
        reference: names the factory in error messages.
        input_shape: (height, width, channels) or (features,).
        outputs: number of outputs.
        width: the argument of the factory for that number.

    Raises:
        RequestError: it is not a model, or one of an earlier call, or its inputs or outputs have
            another shape.
    """
    import keras  # not at the top: settings are checked without a backend

    if not isinstance(model, keras.Model):
        raise RequestError(
            f"{reference.text} must return a keras.Model: received {model!r:.80}; return the model."
        )
    if model in _known_models:
        raise RequestError(
            f"{reference.text} must make a new model each time: received that of an earlier call."
        )
    _known_models.add(model)
    result = _call_model(model, reference, input_shape)
    shape = getattr(result, "shape", None)
    if shape is None or tuple(shape) != (_PROBE_IMAGES, outputs):
        received = f"a {type(result).__name__}"
        if shape is not None:
            received = _format_batch(tuple(shape)[1:])
        raise RequestError(
            f"the model of {reference.text} must give {_format_batch((outputs,))}, a number for "
            f"each of {width}: received {received}; let it end with keras.layers.Dense({width})."
        )


def _call_model(
    model: keras.Model, reference: FactoryReference, input_shape: tuple[int, ...]
) -> Any:
    """Return a model's outputs for a batch; they have no numbers if the model knows its inputs."""
    import keras  # not at the top: settings are checked without a backend
    import numpy as np

    if getattr(model, "built", False) and getattr(model, "inputs", None):
        # Zeros may be no inputs that it accepts, such as indices that count from 1000.
        with suppress(Exception):
            return model(keras.KerasTensor((_PROBE_IMAGES, *input_shape)), training=False)
    images = np.zeros((_PROBE_IMAGES, *input_shape), np.float32)
    with attribute_user_errors(
        reference, f"calling its model on inputs of shape {_format_batch(input_shape)}"
    ):
        return model(images, training=False)


def _format_batch(shape: tuple[int, ...]) -> str:
    return f"(batch, {', '.join(map(str, shape))})" if shape else "(batch,)"


def _join(names: list[str]) -> str:
    return ", ".join(names) or "nothing"


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, str | int | float)
