"""The model families, built-in and user-defined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from assay.models.architectures import cnn, custom, linear, mlp, resnet
from assay.models.architectures.custom_import import FactoryReference, is_reference, parse_reference
from assay.models.names import check_name
from assay.models.settings import Settings
from assay.models.tasks import Task

if TYPE_CHECKING:
    import keras

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Family(Generic[S]):
    """A family of models.

    Attributes:
        name: its name in [model].
        summary: one line about it.
        settings: class of its settings; every field has a default. That of a user-defined family
            accepts any names.
        describe: (settings, input_shape, outputs) -> a Keras model with outputs (batch, outputs):
            one logit per class, or the values of a regression.
        check_input: (settings, input_shape); raises a RequestError if such a network cannot take
            inputs of this shape.
        macs: (settings, input_shape, outputs) -> MACs of a forward pass of one example, by which
            the durations of trials are compared; None if they are unknown.
        factory: the user's function that makes the models; None for a built-in family.

    Example:
        >>> family = get_family("mlp")
        >>> family.describe(family.settings(hidden_units=32), (28, 28, 1), 10)
        <Functional name=mlp, built=True>
    """

    name: str
    summary: str
    settings: type[S]
    describe: Callable[[S, tuple[int, ...], int], keras.Model]
    check_input: Callable[[S, tuple[int, ...]], None] = lambda settings, input_shape: None
    macs: Callable[[S, tuple[int, ...], int], int] | None = None
    factory: FactoryReference | None = None


FAMILIES: Mapping[str, Family[Any]] = {
    family.name: family
    for family in (
        Family(
            "linear",
            "softmax or linear regression: one weight per input and output",
            linear.LinearSettings,
            linear.describe,
            macs=linear.count_macs,
        ),
        Family(
            "mlp",
            "multi-layer perceptron: dense hidden layers",
            mlp.MLPSettings,
            mlp.describe,
            macs=mlp.count_macs,
        ),
        Family(
            "cnn",
            "blocks of two convolutions and a pooling, then a dense head",
            cnn.CNNSettings,
            cnn.describe,
            cnn.check_input,
            cnn.count_macs,
        ),
        Family(
            "resnet",
            "residual network: three stages of convolutions with shortcuts",
            resnet.ResNetSettings,
            resnet.describe,
            resnet.check_input,
            resnet.count_macs,
        ),
    )
}


def get_family(
    reference: str, folders: Sequence[str] = (), task: Task = "classification"
) -> Family[Any]:
    """Return a family by its name.

    The user's code is not imported.

    Args:
        reference: name of a family, "nets.py:function", or "package.module:function".
        folders: where the user's files and modules are looked for, in this order, before the
            current folder.
        task: task for which a factory makes models.

    Raises:
        RequestError: there is no such family or file.
    """
    if not is_reference(reference):
        return FAMILIES[check_name("family", reference, FAMILIES)]
    factory = parse_reference(reference, folders)
    return Family(
        reference,
        "a user-defined factory",
        custom.CustomSettings,
        custom.make_describe(factory, task),
        factory=factory,
    )
