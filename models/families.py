"""The families of models that there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from models import cnn, linear, mlp, resnet
from models.settings import Settings

if TYPE_CHECKING:
    import keras

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Family(Generic[S]):
    """A family of models: what it can vary in, and the function that describes one of its networks.

    Attributes:
        name: what [model] calls it.
        summary: one line about it.
        settings: the class of its settings; every field has a default.
        describe: (settings, input_shape, outputs) -> a functional Keras model that gives (batch, outputs): a logit a
            class, or a regression's values.
        check_input: (settings, input_shape); raises a RequestError for inputs that such a network can't take.
    """

    name: str
    summary: str
    settings: type[S]
    describe: Callable[[S, tuple[int, ...], int], keras.Model]
    check_input: Callable[[S, tuple[int, ...]], None] = lambda settings, input_shape: None


FAMILIES: Mapping[str, Family[Any]] = {
    family.name: family
    for family in (
        Family(
            "linear",
            "softmax or linear regression: one weight a pixel and output",
            linear.LinearSettings,
            linear.describe,
        ),
        Family("mlp", "multi-layer perceptron: dense hidden layers", mlp.MlpSettings, mlp.describe),
        Family(
            "cnn",
            "blocks of two convolutions and a pooling, then a dense head",
            cnn.CnnSettings,
            cnn.describe,
            cnn.check_input,
        ),
        Family(
            "resnet",
            "residual network: three stages of convolutions with shortcuts",
            resnet.ResnetSettings,
            resnet.describe,
            resnet.check_input,
        ),
    )
}
