"""Gradients of dense networks in float64, as a backend of Keras computes them."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from assay.models.errors import WorkerBug

Array: TypeAlias = NDArray[np.float64]
Loss: TypeAlias = Literal["output", "squared_error", "binary_cross_entropy", "cross_entropy"]
"""Means over the examples; of `output` and `squared_error` over the outputs too. `output` is the
output itself. The cross entropies take logits."""

BACKENDS = ("tensorflow", "jax", "torch")


@dataclass(frozen=True)
class GradientProblem:
    """A dense network, examples, and a loss to differentiate.

    Attributes:
        weights: kernel (inputs, units) and bias (units,) of each layer, one after the other.
        activations: activation of each layer by Keras' name; "linear" for none.
        loss: name of the loss.
        x: inputs (examples, inputs).
        y: targets (examples, outputs); of `cross_entropy` 1 for the class, 0 for the others.
    """

    weights: Sequence[Array]
    activations: Sequence[str]
    loss: Loss
    x: Array
    y: Array


def installed_backends() -> Sequence[str]:
    """Return the names of the backends that are installed."""
    return [name for name in BACKENDS if importlib.util.find_spec(name) is not None]


def compute_gradients(
    problems: Sequence[GradientProblem], backend: str
) -> Sequence[Sequence[Array]]:
    """Return the derivatives of each loss by each weight, in a process of its own.

    The process computes in float64 on the CPU, which takes settings that hold for a whole process.
    On JAX some operations of Keras, such as tanh and mean, compute in float32 nevertheless.

    Args:
        problems: what to differentiate.
        backend: an installed backend of Keras.

    Returns:
        For each problem, arrays with the shapes of its weights.

    Raises:
        WorkerBug: the process failed.

    Example:
        >>> (gradients,) = compute_gradients([problem], "jax")
        >>> gradients[0].shape == problem.weights[0].shape
        True
    """
    done = subprocess.run(
        # -P: nothing in the current folder shadows a module.
        [sys.executable, "-P", "-m", "assay.models.analysis.gradients"],
        input=json.dumps([asdict(problem) for problem in problems], default=np.ndarray.tolist),
        capture_output=True,
        text=True,
        errors="replace",
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "KERAS_BACKEND": backend,
            "JAX_ENABLE_X64": "1",
            "JAX_PLATFORMS": "cpu",
            "CUDA_VISIBLE_DEVICES": "",
        },
        check=False,
    )
    if done.returncode != 0:
        raise WorkerBug(f"gradients ended with exit code {done.returncode}\n{done.stderr}".rstrip())
    answer = done.stdout.splitlines()[-1]
    return [[np.array(one, np.float64) for one in gradients] for gradients in json.loads(answer)]


def _main() -> None:
    problems = [
        GradientProblem(
            weights=[np.array(one, np.float64) for one in record["weights"]],
            activations=record["activations"],
            loss=record["loss"],
            x=np.array(record["x"], np.float64),
            y=np.array(record["y"], np.float64),
        )
        for record in json.load(sys.stdin)
    ]
    gradients = [[one.tolist() for one in _differentiate(problem)] for problem in problems]
    print(json.dumps(gradients))


def _differentiate(problem: GradientProblem) -> Sequence[Array]:
    """Return gradients as the change of the weights in one step of SGD with learning rate 1.

    This is how every backend gives them; the subtraction costs a rounding of float64.
    """
    import keras  # here, because its backend must be chosen first

    keras.config.set_floatx("float64")
    x = inputs = keras.Input((problem.x.shape[1],), dtype="float64")
    kernels = problem.weights[::2]
    for kernel, activation in zip(kernels, problem.activations, strict=True):
        x = keras.layers.Dense(kernel.shape[1], activation=activation, dtype="float64")(x)
    model = keras.Model(inputs, x)
    model.set_weights(list(problem.weights))
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate=1.0),
        loss=_create_loss(problem.loss),
        run_eagerly=True,  # one step each: compiling would take longer
        jit_compile=False,
    )
    model.train_on_batch(problem.x, problem.y)
    return [
        before - np.asarray(after, np.float64)
        for before, after in zip(problem.weights, model.get_weights(), strict=True)
    ]


def _create_loss(name: Loss) -> Any:
    import keras  # here, because its backend must be chosen first

    match name:
        case "output":
            return lambda _, outputs: outputs
        case "squared_error":
            return keras.losses.MeanSquaredError(dtype="float64")
        case "binary_cross_entropy":
            return keras.losses.BinaryCrossentropy(from_logits=True, dtype="float64")
        case _:
            return keras.losses.CategoricalCrossentropy(from_logits=True, dtype="float64")


if __name__ == "__main__":
    _main()
