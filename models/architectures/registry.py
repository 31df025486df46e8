"""The families of models that there are."""

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
    """A family of models, built in or a user's own: what it can vary in, and what describes one of
    its networks.

    Attributes:
        name: what [model] calls it.
        summary: one line about it.
        settings: the class of its settings; every field has a default. A user's own family takes
            any names.
        describe: (settings, input_shape, outputs) -> a Keras model that gives (batch, outputs): a
            logit a class, or a regression's values.
        check_input: (settings, input_shape); raises a RequestError for inputs that such a network
            can't take.
        macs: (settings, input_shape, outputs) -> the multiplications of one example's way through
            such a network, by which trials are compared in length; None where nobody can tell.
        factory: the user's function that makes its models; None if the family is built in.
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
            "softmax or linear regression: one weight a pixel and output",
            linear.LinearSettings,
            linear.describe,
            macs=linear.macs,
        ),
        Family(
            "mlp",
            "multi-layer perceptron: dense hidden layers",
            mlp.MLPSettings,
            mlp.describe,
            macs=mlp.macs,
        ),
        Family(
            "cnn",
            "blocks of two convolutions and a pooling, then a dense head",
            cnn.CNNSettings,
            cnn.describe,
            cnn.check_input,
            cnn.macs,
        ),
        Family(
            "resnet",
            "residual network: three stages of convolutions with shortcuts",
            resnet.ResNetSettings,
            resnet.describe,
            resnet.check_input,
            resnet.macs,
        ),
    )
}


def get_family(
    reference: str, folders: Sequence[str] = (), task: Task = "classification"
) -> Family[Any]:
    """Return a built-in family by its name, or that of a factory of the user's own; none of their
    code is imported.

    Args:
        reference: a name, or "nets.py:function", or "package.module:function".
        folders: where a user's files and modules are looked for, in this order; the current folder
            comes after them.
        task: what a factory is asked for.

    Raises:
        RequestError: there is no such family or file.
    """
    if not is_reference(reference):
        return FAMILIES[check_name("family", reference, FAMILIES)]
    factory = parse_reference(reference, folders)
    return Family(
        reference,
        "a factory of one's own",
        custom.CustomSettings,
        custom.describer(factory, task),
        factory=factory,
    )
