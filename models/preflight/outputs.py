"""Outputs of a model against what its loss takes.

Cross entropy that takes probabilities for logits can't fall below a bound: with 10 classes 1.46. A
search over such trainings names a best trial all the same.

What a loss takes is measured, not read from its name: by its values for some outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from assay.models.data import Array

if TYPE_CHECKING:
    import keras

LossInput = Literal["scores", "probabilities", "log probabilities", "values"]
"""What a loss takes: scores of any size, such as logits; probabilities; log probabilities; or
values to compare with the targets. A loss for log probabilities has no bound for other outputs.
"""

OutputKind = Literal["scores", "probabilities", "fractions"]
"""What a model gives: scores; rows of probabilities that sum to 1, as from a softmax; or fractions
of 1, as from a sigmoid.
"""

_MOST_ROWS = 4
_SCORES = (2.0, 3.0, 5.0, 10.0)
_LESS = 0.02  # of a loss of about 1
_UNBOUNDED = -5.0
_TOLERANCE = 0.01  # numbers of 16 bits have two to three digits
_NEAR_ZERO = 0.05

_AMPLIFIED = (1.0, 8.0, 512.0, 32768.0)
_NOISE = 0.1
_DRAWS = 8

MeasureLoss = Callable[[Array], float]


@dataclass(frozen=True)
class LossFacts:
    """What was measured of a loss.

    Attributes:
        takes: what it takes.
        lowest: its lowest value for scores of any size.
        lowest_within_one: its lowest value for scores from -1 to 1.
        prefers_right: whether it is lower for right outputs than for wrong ones.
    """

    takes: LossInput
    lowest: float
    lowest_within_one: float
    prefers_right: bool

    @property
    def needs_large_scores(self) -> bool:
        """Whether it is far from its lowest value while scores stay between -1 and 1."""
        return self.takes == "scores" and self.lowest_within_one > self.lowest + _LESS


def measure_loss(model: keras.Model, x: Array, y: Array, target: Array) -> LossFacts | None:
    """Return what the loss of a compiled model takes; None if it can't be measured.

    A loss takes scores if it falls when scores of the right class grow beyond 1 and those of the
    others below 0. It takes probabilities if it neither does that nor changes when all are scaled
    by a factor, or clipped.

    Args:
        model: compiled and built.
        x: some inputs.
        y: targets as the loss takes them.
        target: the same targets as rows of 0 and 1, which have both.
    """
    try:
        return classify_loss(_make_measure(model, x[: len(target)], y), target)
    except Exception:
        return None  # a loss of the user's own may need anything else


def _make_measure(model: keras.Model, x: Array, y: Array) -> MeasureLoss:
    def measure(y_pred: Array) -> float:
        value = _compute_loss(model, x, y, y_pred.astype(np.float32))
        return value if np.isfinite(value) else np.inf

    return measure


def compute_loss(model: keras.Model, x: Array, y: Array) -> float | None:
    """Return a model's loss, without training; None if Keras does not compute it.

    Args:
        model: compiled and built.
        x: some scaled inputs.
        y: targets as the loss takes them.
    """
    import keras  # not at the top: settings are checked without a backend

    try:
        y_pred = model(keras.ops.convert_to_tensor(x), training=False)
        return _compute_loss(model, x, y, y_pred)
    except Exception:
        return None  # a model of the user's own may need anything else


def _compute_loss(model: keras.Model, x: Array, y: Array, y_pred: Any) -> float:
    import keras  # not at the top: settings are checked without a backend

    x, y, y_pred = (keras.ops.convert_to_tensor(array) for array in (x, y, y_pred))
    loss = model.compute_loss(x=x, y=y, y_pred=y_pred)
    return float(np.mean(keras.ops.convert_to_numpy(loss)))


def classify_loss(measure: MeasureLoss, target: Array) -> LossFacts:
    """Return what a loss takes, by its values for some outputs.

    Args:
        measure: returns the loss for outputs of the shape of `target`.
        target: targets as rows of 0 and 1, which have both.
    """
    others, signs = 1 - target, 2 * target - 1
    at_target, within_one = measure(target), measure(signs)
    lowest = min(measure(scale * signs) for scale in _SCORES)
    takes: LossInput = "values"
    if lowest < _UNBOUNDED:
        takes = "log probabilities"
    elif lowest < at_target - _LESS:
        takes = "scores"
    else:
        right, slightly_negative = measure(3 * target), 3 * target - others * 0.5 / target.shape[1]
        if (
            abs(right - measure(30 * target)) < 1e-4
            and abs(right - measure(slightly_negative)) < 1e-5
            and measure(3 * others) > right + 0.1
        ):
            takes = "probabilities"
    right_or_wrong = ((target, others), (3 * signs, -3 * signs))
    prefers_right = any(measure(right) < measure(wrong) - 1e-6 for right, wrong in right_or_wrong)
    return LossFacts(takes, lowest, min(within_one, at_target), prefers_right)


def compute_amplified(model: keras.Model, x: Array) -> list[Array]:
    """Return the outputs on some inputs, and the finite ones with other and with larger weights.

    Scores of an untrained model may happen to lie between 0 and 1, or all be 0. With other and with
    larger weights they leave that range; what a softmax or a sigmoid gives does not.
    """
    found = [compute_outputs(model, x)]
    for factor in _AMPLIFIED:
        with scaled_weights(model, factor, _NOISE * factor):
            y = compute_outputs(model, x)
        if np.isfinite(y).all():
            found.append(y)
    return found


def find_output_kind(amplified: list[Array]) -> OutputKind | None:
    """Return what kind of outputs a classifier gives; None if it can't be told.

    Args:
        amplified: of `compute_amplified`, as in the functions below.
    """
    if not all(map(is_within_unit, amplified)):
        return "scores"
    if all(np.abs(y.sum(axis=1) - 1).max() < _TOLERANCE for y in amplified):
        return "probabilities"
    return "fractions" if max(y.max() for y in amplified) > _NEAR_ZERO else None


def are_scores_bounded(amplified: list[Array]) -> bool:
    """Return whether a model's outputs stay between -1 and 1, as those of a tanh do."""
    largest = max(float(np.abs(y).max()) for y in amplified)
    return len(amplified) > 1 and _NEAR_ZERO < largest <= 1 + _TOLERANCE


def find_largest_probability(amplified: list[Array]) -> float:
    """Return the largest probability that a model gives with larger and larger weights."""
    return max((float(y.max()) for y in amplified[1:]), default=1.0)


def find_output_range(
    amplified: list[Array], gives_both_signs: Callable[[], bool]
) -> tuple[float, float]:
    """Return the range that a model's outputs can't leave; infinite where they can."""
    low, high = min(float(y.min()) for y in amplified), max(float(y.max()) for y in amplified)
    if _NEAR_ZERO < max(-low, high) <= 1 + _TOLERANCE:
        return (0.0 if low >= -_TOLERANCE else -1.0), 1.0
    if low >= -_TOLERANCE and not gives_both_signs():
        return 0.0, np.inf
    return -np.inf, np.inf


def are_log_probabilities(model: keras.Model, x: Array) -> bool:
    """Return whether a model gives logarithms of rows that sum to 1."""
    y = compute_outputs(model, x)
    return bool(y.max() <= _TOLERANCE and np.abs(np.exp(y).sum(axis=1) - 1).max() < _TOLERANCE)


def gives_both_signs(model: keras.Model, x: Array) -> bool:
    """Return whether a model can give numbers below 0 and above 0 for each output."""
    random = np.random.default_rng(0)
    rows = np.concatenate([x, -x, random.standard_normal((64, *x.shape[1:])).astype(x.dtype)])
    found = [compute_outputs(model, rows)]
    for seed in range(1, _DRAWS):
        with scaled_weights(model, 1.0, _NOISE, seed):
            found.append(compute_outputs(model, rows))
    outputs = np.concatenate(found)
    return bool((outputs.min(axis=0) < 0).all() and (outputs.max(axis=0) > 0).all())


def is_within_unit(y: Array) -> bool:
    """Return whether all numbers lie between 0 and 1."""
    return bool(y.min() >= -_TOLERANCE and y.max() <= 1 + _TOLERANCE)


def compute_outputs(model: keras.Model, x: Array) -> Array:
    """Return a model's outputs as float64 (n, outputs), without training."""
    import keras  # not at the top: settings are checked without a backend

    outputs = keras.ops.convert_to_numpy(
        keras.ops.cast(model(keras.ops.convert_to_tensor(x), training=False), "float32")
    )
    return np.asarray(outputs, np.float64)


@contextmanager
def scaled_weights(
    model: keras.Model, factor: float, noise: float = 0.0, seed: int = 0
) -> Iterator[None]:
    """Multiply the trainable weights of a model in this context.

    Args:
        model: the model.
        factor: the factor.
        noise: standard deviation of random numbers that are added afterwards.
        seed: random seed of these numbers.
    """
    import keras  # not at the top: settings are checked without a backend

    random = np.random.default_rng(seed)
    kept = [np.array(keras.ops.convert_to_numpy(v.value)) for v in model.trainable_variables]
    try:
        for variable, value in zip(model.trainable_variables, kept, strict=True):
            changed: Any = value * factor
            if noise:
                changed = changed + noise * random.standard_normal(value.shape)
            variable.assign(changed)
        yield
    finally:
        for variable, value in zip(model.trainable_variables, kept, strict=True):
            variable.assign(value)
