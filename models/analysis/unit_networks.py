"""Networks with one hidden layer of units that the built-in families do not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.models.errors import RequestError
from assay.models.names import check_name

if TYPE_CHECKING:
    import keras

UNITS = ("centred_sigmoid", "cos", "exp")
"""Activations that `build_network` takes."""


def build_network(
    input_shape: tuple[int, ...],
    hidden_units: int,
    activation: str,
    classes: int | None = None,
    outputs: int | None = None,
) -> keras.Model:
    """Return a network with one hidden layer: (batch, *input_shape) -> (batch, classes or outputs).

    It is what `family = "mlp"` makes, with other activations, and can be the family of an
    experiment: `family = "assay.models.analysis.unit_networks:build_network"`.

    Args:
        input_shape: shape of one input.
        hidden_units: number of hidden units.
        activation: one of `UNITS`. centred_sigmoid is sigmoid minus 1/2; cos and exp are those of
            Columbia, Optimization II, 'Two-layer neural networks with cosine activation functions'
            and 'Two-layer neural networks with exp activation functions'.
        classes: number of classes; None in regression.
        outputs: number of outputs; None in classification.

    Raises:
        RequestError: there is no such activation, or neither classes nor outputs were given.

    Example:
        >>> build_network((28, 28, 1), 100, "centred_sigmoid", classes=10).count_params()
        79510
    """
    import keras  # here, because its backend must be chosen first

    width = classes if outputs is None else outputs
    if width is None:
        raise RequestError("a network needs classes or outputs: received neither; give one.")
    inputs = keras.Input(input_shape)
    sums = keras.layers.Dense(hidden_units, name="hidden")(keras.layers.Flatten()(inputs))
    # Keras' own layers and operations, so a saved model loads without Assay's code.
    match check_name("activation", activation, UNITS):
        case "cos":
            hidden = keras.ops.cos(sums)
        case "exp":
            hidden = keras.layers.Activation("exponential")(sums)
        case _:
            hidden = keras.layers.Rescaling(1.0, -0.5)(keras.layers.Activation("sigmoid")(sums))
    return keras.Model(inputs, keras.layers.Dense(width, name="logits", dtype="float32")(hidden))
