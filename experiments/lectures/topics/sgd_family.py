"""Full, single-example, cyclic and mini-batch gradient descent on softmax regression."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from assay.experiments.evaluation.summaries import mean_interval
from assay.experiments.lectures.bench import Bench, compare, to_number
from assay.experiments.lectures.drawing import draw_curves, plot_seeds
from assay.experiments.lectures.lecture import LectureExperiment, Measured
from assay.experiments.lectures.rules import Condition, Number, Rule
from assay.experiments.report.page.document import Picture
from assay.experiments.report.page.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    VERMILLION,
    drawing,
    legend_above,
    new_figure,
)

Order: TypeAlias = Literal["random", "cyclic", "reshuffled", "fixed"]
_Array: TypeAlias = NDArray[np.float64]
_Indices: TypeAlias = NDArray[np.int64]

_SEEDS = 5
_L2 = 0.01
"""Of the softmax regression: with it the loss has a minimum, also where classes are separable."""

_RATE = 0.02
"""Of one example; a batch of s has s times it, up to the largest safe rate of the full gradient."""

_BATCH = 16
_DRAWS = 2_000
_TAKEN = (1, 4, 16, 64)
_COLORS: Mapping[str, str] = {
    "random": BLUE,
    "cyclic, shuffled once": ORANGE,
    "cyclic, sorted by class": VERMILLION,
    "reshuffled": GREEN,
}

_BIAS = "mean of all examples' gradients, relative difference from the full gradient"
_STEP_COST = f"seconds of a step of {_BATCH} examples, in steps of 1"
_ITERATIONS = "loss after as many steps, 1 example over full gradient"
_EPOCHS = "loss after as many epochs, 1 example over full gradient"
_CYCLIC = "loss at the end, cyclic over random"
_SORTED = "loss at the end, cyclic sorted by class over cyclic"
_FIXED = "excess loss at the end, fixed over reshuffled batches"
_FLOOR = "noise floor, a quarter of the rate over the rate"
_GENERAL = "test accuracy, batches of 10 minus all 500"

_NETWORKS = """
title = "Small batches and full gradients on 500 images of MNIST"
source = "Neural Networks, 'How do we select which sample?'"

[data]
name = "mnist"
train_images = 500
validation = 1000

[model]
family = "mlp"
hidden_units = 100

[train]
epochs = {epochs}
optimizer = "sgd"

[space]
batch_size = [10, 500]
learning_rate = [0.004, 0.2]

[[baseline]]
batch_size = 10
learning_rate = 0.004

[[baseline]]
batch_size = 500
learning_rate = 0.2
"""


@dataclass(frozen=True)
class Problem:
    """Softmax regression with an L2 penalty.

    Attributes:
        x: inputs with a constant 1 (examples, inputs).
        y: classes as 0 and 1 (examples, classes).
    """

    x: _Array
    y: _Array

    def loss(self, weights: _Array) -> float:
        """Return the mean cross-entropy plus the penalty."""
        logits = self.x @ weights
        top = logits.max(axis=1)
        total = top + np.log(np.exp(logits - top[:, np.newaxis]).sum(axis=1))
        penalty = 0.5 * _L2 * float(np.square(weights).sum())
        return float((total - (logits * self.y).sum(axis=1)).mean()) + penalty

    def gradient(self, weights: _Array, chosen: _Indices | slice) -> _Array:
        """Return the mean gradient of the chosen examples (inputs, classes)."""
        x = self.x[chosen]
        logits = x @ weights
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        gradient: _Array = x.T @ (shares - self.y[chosen]) / len(x) + _L2 * weights
        return gradient

    @property
    def safe_rate(self) -> float:
        """Rate 1 / L of the full gradient, L a bound on the loss's curvature (Boehning, 1992)."""
        return 1 / (0.5 * float(np.linalg.eigvalsh(self.x.T @ self.x / len(self.x))[-1]) + _L2)

    def sort(self) -> Problem:
        """Return the same examples sorted by class."""
        order = np.argsort(self.y.argmax(axis=1), kind="stable")
        return Problem(self.x[order], self.y[order])


def load_problem(examples: int) -> Problem:
    """Return the first of scikit-learn's digits, in random order, pixels in [0, 1]."""
    x, labels = load_digits(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(x))[:examples]
    return Problem(
        np.column_stack([np.ones(len(chosen)), x[chosen] / 16]), np.eye(10)[labels[chosen]]
    )


def choose_batches(
    order: Order, examples: int, size: int, epochs: int, random: np.random.Generator
) -> Iterator[_Indices]:
    """Yield the examples of each step.

    Args:
        order: "random" draws each with replacement; "cyclic" takes them as they are, "fixed"
            shuffled once, "reshuffled" shuffled before each epoch.
        examples: their number, a multiple of size.
        size: examples of a step.
        epochs: number of passes; as many draws as in so many passes.
        random: what draws and shuffles.
    """
    rows = np.arange(examples)
    if order == "fixed":
        rows = random.permutation(examples)
    for _ in range(epochs):
        if order == "reshuffled":
            rows = random.permutation(examples)
        if order == "random":
            rows = random.integers(0, examples, examples)
        yield from rows.reshape(-1, size)


def descend(
    problem: Problem,
    batches: Iterator[_Indices],
    rate: float,
    every: int,
    start: _Array | None = None,
) -> _Array:
    """Return the loss of all examples before the first and after every so many steps.

    Args:
        problem: what is minimized.
        batches: the examples of each step.
        rate: the learning rate.
        every: steps between two losses.
        start: first weights; without them 0.
    """
    weights = np.zeros((problem.x.shape[1], problem.y.shape[1])) if start is None else start
    losses = [problem.loss(weights)]
    for step, chosen in enumerate(batches, 1):
        weights = weights - rate * problem.gradient(weights, chosen)
        if step % every == 0:
            losses.append(problem.loss(weights))
    return np.array(losses)


def find_minimum(problem: Problem, steps: int = 5_000) -> _Array:
    """Return weights near the minimum, by steps of the full gradient."""
    weights = np.zeros((problem.x.shape[1], problem.y.shape[1]))
    rate = problem.safe_rate
    for _ in range(steps):
        weights = weights - rate * problem.gradient(weights, slice(None))
    return weights


def predict_variance(examples: int, size: int, replace: bool) -> float:
    """Return the variance of a mean gradient, in variances of one example's gradient.

    1 / s with replacement, (n - s) / (n - 1) / s without.
    """
    return 1 / size if replace else (examples - size) / (examples - 1) / size


def measure_variance(gradients: _Array, size: int, replace: bool, draws: int, seed: int) -> float:
    """Return the mean squared distance of batch gradients from the full one, in those of one.

    Args:
        gradients: gradient of each example (examples, weights).
        size: examples of a batch.
        replace: whether they are drawn with replacement.
        draws: number of batches.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    away = gradients - gradients.mean(axis=0)
    squares = [
        np.square(away[random.choice(len(away), size, replace=replace)].mean(axis=0)).sum()
        for _ in range(draws)
    ]
    return float(np.mean(squares) / np.square(away).sum(axis=1).mean())


def measure(bench: Bench) -> Measured:
    """Measure gradients, steps and orders on softmax regression; train small and full batches."""
    examples = bench.pick(toy=128, short=512, full=1_792)
    epochs = bench.pick(toy=8, short=20, full=30)
    problem = load_problem(examples)
    gradients = _single_gradients(problem)
    full = problem.gradient(np.zeros((problem.x.shape[1], 10)), slice(None)).ravel()
    variances = {
        replace: {
            size: measure_variance(gradients, size, replace, _DRAWS, seed=size) for size in _TAKEN
        }
        for replace in (True, False)
    }
    runs = _run_sizes(problem, epochs)
    orders = _run_orders(problem, epochs)
    minimum = find_minimum(problem)
    least = problem.loss(minimum)
    floors = _run_floors(problem, minimum, epochs)
    batched = {
        order: np.array(
            [
                descend(
                    problem,
                    choose_batches(order, examples, _BATCH, epochs, np.random.default_rng(seed)),
                    _BATCH * _RATE,
                    examples // _BATCH,
                )[-1]
                for seed in range(_SEEDS)
            ]
        )
        for order in _BATCH_ORDERS
    }
    text = _NETWORKS.format(epochs=bench.pick(toy=2, short=100, full=400))
    trained = bench.train("sgd-family", text, bench.pick(toy=3, short=5, full=5))
    networks = {
        name: trained.find(batch_size=size) for name, size in (("10", 10), ("all 500", 500))
    }
    last = {name: found[:, -1] for name, found in orders.items()}
    steps = {
        name: _time_gradient(problem, size)
        for name, size in (("1", 1), (str(_BATCH), _BATCH), ("all", examples))
    }
    return Measured(
        numbers={
            _BIAS: Number(float(np.abs(gradients.mean(axis=0) - full).max() / np.abs(full).max())),
            **{
                _variance(size, replace): Number(found / predict_variance(examples, size, replace))
                for replace, group in variances.items()
                for size, found in group.items()
            },
            _ITERATIONS: Number(float(runs["1"].losses[1] / runs["all"].losses[examples])),
            _EPOCHS: Number(float(runs["1"].losses[1] / runs["all"].losses[1])),
            _STEP_COST: Number(steps[str(_BATCH)] / steps["1"]),
            _CYCLIC: to_number(mean_interval(last["cyclic, shuffled once"] / last["random"])),
            _SORTED: to_number(
                mean_interval(last["cyclic, sorted by class"] / last["cyclic, shuffled once"])
            ),
            _FIXED: to_number(
                mean_interval((batched["fixed"] - least) / (batched["reshuffled"] - least))
            ),
            _FLOOR: to_number(
                mean_interval(
                    [
                        (slow - least).mean() / (fast - least).mean()
                        for fast, slow in zip(
                            *(one[:, _half(one) :] for one in floors), strict=True
                        )
                    ]
                )
            ),
            _GENERAL: compare(networks)["10", "all 500"],
            "least loss": Number(least),
            **{
                f"seconds of a step, {name} examples": Number(one, unit="s")
                for name, one in steps.items()
            },
        },
        pictures=[
            _picture_sizes(runs, examples, least),
            _picture_variance(variances, examples),
            _picture_orders(orders, least),
            _picture_floors(floors, least),
            draw_curves(
                "sgd-family-training",
                {
                    "accuracy, new images": {
                        name: one.curve("val_accuracy") for name, one in networks.items()
                    },
                    "loss": {name: one.curve("loss") for name, one in networks.items()},
                },
                "A network on 500 images of MNIST, in batches of 10 at a rate of 0.004 and in one "
                "batch at 0.2: accuracy on images that were not trained on, and loss, by epoch.",
                "Both batch sizes by epoch, at equal effective steps.",
            ),
        ],
        notes=[
            f"Softmax regression on {examples} of scikit-learn's digits, from weights of 0. A step "
            f"of one example has the rate {_RATE:g}, one of s examples s times as much, so that "
            "an epoch goes equally far, up to the largest safe rate of the full gradient.",
            "'As many steps' compares the examples of one epoch, one by one, with as many full "
            "gradients; 'as many epochs' with a single one.",
        ],
        studies=[trained.name],
    )


_BATCH_ORDERS: tuple[Order, ...] = ("fixed", "reshuffled")


@dataclass(frozen=True)
class _Run:
    losses: _Array
    every: int
    steps: int
    seconds: float


def _variance(size: int, replace: bool) -> str:
    return f"variance over formula, {size} examples with{'' if replace else 'out'} replacement"


def _half(losses: NDArray[Any]) -> int:
    return int(losses.shape[1] // 2)


def _single_gradients(problem: Problem) -> _Array:
    weights = np.zeros((problem.x.shape[1], problem.y.shape[1]))
    return np.array(
        [problem.gradient(weights, np.array([one])).ravel() for one in range(len(problem.x))]
    )


def _run_sizes(problem: Problem, epochs: int) -> Mapping[str, _Run]:
    """Return runs of one example, of a mini-batch and of all examples a step."""
    examples = len(problem.x)
    runs = {}
    for name, size in (("1", 1), (str(_BATCH), _BATCH), ("all", examples)):
        passes = max(examples, epochs) if size == examples else epochs
        rate = min(size * _RATE, problem.safe_rate)
        batches = list(
            choose_batches("reshuffled", examples, size, passes, np.random.default_rng(0))
        )
        every = max(examples // size, 1)
        seconds = min(_time_steps(problem, batches, rate) for _ in range(3))
        losses = descend(problem, iter(batches), rate, every)
        runs[name] = _Run(losses, every, len(batches), seconds)
    return runs


def _time_gradient(problem: Problem, size: int) -> float:
    """Return the seconds of a gradient at the same weights: the least of 20 means over 100."""
    weights = np.random.default_rng(0).standard_normal((problem.x.shape[1], 10))
    batches = [np.random.default_rng(seed).integers(0, len(problem.x), size) for seed in range(100)]
    seconds = []
    for _ in range(20):
        began = time.perf_counter()
        for chosen in batches:
            problem.gradient(weights, chosen)
        seconds.append((time.perf_counter() - began) / len(batches))
    return min(seconds)


def _time_steps(problem: Problem, batches: Sequence[_Indices], rate: float) -> float:
    began = time.perf_counter()
    descend(problem, iter(batches), rate, len(batches) + 1)  # so that no loss is computed
    return time.perf_counter() - began


def _run_orders(problem: Problem, epochs: int) -> Mapping[str, _Array]:
    """Return losses by epoch (seeds, epochs + 1) of single examples in several orders."""
    examples = len(problem.x)

    def run(order: Order, seed: int, of: Problem) -> _Array:
        batches = choose_batches(order, examples, 1, epochs, np.random.default_rng(seed))
        return descend(of, batches, _RATE, examples)

    ordered = problem.sort()
    return {
        "random": np.array([run("random", seed, problem) for seed in range(_SEEDS)]),
        "cyclic, shuffled once": np.array([run("fixed", seed, problem) for seed in range(_SEEDS)]),
        "cyclic, sorted by class": np.array(_SEEDS * [run("cyclic", 0, ordered)]),
        "reshuffled": np.array([run("reshuffled", seed, problem) for seed in range(_SEEDS)]),
    }


def _run_floors(problem: Problem, minimum: _Array, epochs: int) -> Sequence[_Array]:
    """Return losses of random single examples from the minimum on, at two rates."""
    examples = len(problem.x)
    return [
        np.array(
            [
                descend(
                    problem,
                    choose_batches("random", examples, 1, 4 * epochs, np.random.default_rng(seed)),
                    rate,
                    examples // 4,
                    minimum,
                )
                for seed in range(_SEEDS)
            ]
        )
        for rate in (_RATE, _RATE / 4)
    ]


def _picture_sizes(runs: Mapping[str, _Run], examples: int, least: float) -> Picture:
    return Picture(
        name="sgd-family-sizes",
        caption=(
            "Loss above its minimum with 1 example, with a mini-batch and with all examples a "
            "step: against steps, against epochs, which count gradients of examples, and against "
            "seconds. The mini-batch and the full gradient have the same rate, the largest safe "
            "one, so that they hardly differ by steps."
        ),
        alt="The full gradient needs fewest steps and most epochs.",
        svg=_draw_sizes(runs, least),
    )


@drawing
def _draw_sizes(runs: Mapping[str, _Run], least: float) -> Figure:
    figure, panels = new_figure(6.0, (1.0, 1.0, 1.0))
    for (name, run), color in zip(runs.items(), (BLUE, ORANGE, INK), strict=True):
        excess = np.maximum(run.losses - least, 1e-6)
        steps = np.arange(len(excess)) * run.every
        for axes, x in zip(
            panels, (steps, np.arange(len(excess)), steps * run.seconds / run.steps), strict=True
        ):
            axes.plot(x[1:], excess[1:], color=color, lw=1.7, label=name)
    for axes, text in zip(panels, ("steps", "epochs", "seconds"), strict=True):
        axes.set(xscale="log", yscale="log", xlabel=text, ylabel="excess loss")
    legend_above(
        figure,
        [
            Line2D([], [], color=color, label=f"{name} a step")
            for name, color in zip(runs, (BLUE, ORANGE, INK), strict=True)
        ],
    )
    return figure


def _picture_variance(variances: Mapping[bool, Mapping[int, float]], examples: int) -> Picture:
    return Picture(
        name="sgd-family-variance",
        caption=(
            f"Variance of a batch's gradient, in that of one example, of {examples} examples: "
            f"measured with {_DRAWS:,} batches each, the dots, and the formulas, the lines."
        ),
        alt="The dots lie on the lines: 1 / s with replacement, and less without.",
        svg=_draw_variance(variances, examples),
    )


@drawing
def _draw_variance(variances: Mapping[bool, Mapping[int, float]], examples: int) -> Figure:
    figure, (axes,) = new_figure(2.8)
    sizes = np.unique(np.geomspace(1, 0.98 * examples, 80).astype(int)).tolist()
    for (replace, found), color in zip(variances.items(), (BLUE, ORANGE), strict=True):
        formula = [predict_variance(examples, size, replace) for size in sizes]
        name = "with replacement" if replace else "without"
        axes.loglog(sizes, formula, color=color, lw=1.4, label=name)
        axes.plot(list(found), list(found.values()), "o", color=color, ms=5, mec="white")
    axes.legend(loc="lower left")
    axes.set_xlabel("examples of a batch, s")
    axes.set_ylabel("variance of the gradient")
    return figure


def _picture_orders(orders: Mapping[str, _Array], least: float) -> Picture:
    return Picture(
        name="sgd-family-orders",
        caption=(
            "Loss above its minimum by epoch, one example a step, in four orders: the mean over "
            "the seeds and a band from the lowest to the highest."
        ),
        alt="Cyclic is like random, unless the examples are sorted by class.",
        svg=_draw_orders(orders, least),
    )


@drawing
def _draw_orders(orders: Mapping[str, _Array], least: float) -> Figure:
    figure, (axes,) = new_figure(3.4)
    for name, losses in orders.items():
        plot_seeds(axes, losses[:, 1:] - least, _COLORS[name])
    axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_ylabel("excess loss")
    legend_above(
        figure, [Line2D([], [], color=_COLORS[name], label=name) for name in orders], columns=2
    )
    return figure


def _picture_floors(floors: Sequence[_Array], least: float) -> Picture:
    return Picture(
        name="sgd-family-floor",
        caption=(
            "Loss above its minimum, from the minimum on, in steps of one random example, at two "
            "rates: the mean over the seeds and a band from the lowest to the highest."
        ),
        alt="The smaller rate stays nearer to the minimum.",
        svg=_draw_floors(floors, least),
    )


@drawing
def _draw_floors(floors: Sequence[_Array], least: float) -> Figure:
    figure, (axes,) = new_figure(2.8)
    for losses, color, rate in zip(floors, (PURPLE, INK), (_RATE, _RATE / 4), strict=True):
        epochs = (np.arange(losses.shape[1]) / 4).tolist()
        plot_seeds(axes, losses - least, color, x=epochs)
        axes.lines[-1].set_label(f"rate {rate:g}")
    axes.axhline(0, color=GREY, lw=1.0, ls="--")
    axes.legend(loc="upper right")
    axes.set_xlabel("epoch")
    axes.set_ylabel("excess loss")
    return figure


EXPERIMENT = LectureExperiment(
    name="sgd-family",
    title="Stochastic, cyclic and mini-batch gradient descent",
    source=(
        "NYU Tandon CS-UY 4563, lecture 16, 'Stochastic gradient descent in practice'; OSU ECE "
        "5307 unit 8, 'Justification for stochastic gradient descent'; Neural Networks, 'How do we "
        "select which sample?'"
    ),
    claim=(
        "A random example's gradient is right on average, so that many cheap steps replace few "
        "expensive ones; mini-batches, cyclic and reshuffled orders are variants of it"
    ),
    rules=[
        Rule(
            claim="stochastic gradients are unbiased, and vary as 1 / s with replacement and as "
            "(n - s) / (n - 1) / s without",
            place="OSU, 'Justification for stochastic gradient descent'; NYU, 'Mini-batch'",
            conditions=[
                Condition(_BIAS, at_most=1e-12),
                *(
                    Condition(_variance(size, replace), at_least=0.9, at_most=1.1)
                    for replace in (True, False)
                    for size in _TAKEN
                ),
            ],
            reason=(
                "float64 rounds by 2e-16; a mean of 2,000 squared distances that vary by less than "
                "their mean is known to 2.2 %, and 0.1 is four times that"
            ),
        ),
        Rule(
            claim="the full gradient needs fewer steps, single examples fewer epochs",
            place="NYU, 'Stochastic gradient descent'",
            conditions=[Condition(_ITERATIONS, at_least=1.1), Condition(_EPOCHS, at_most=0.9)],
            reason="a tenth of the loss, more than the order of the examples changes it",
        ),
        Rule(
            claim="a step of a small mini-batch costs nearly what one of a single example does",
            place="NYU, 'Mini-batch gradient descent'",
            conditions=[Condition(_STEP_COST, at_most=2)],
            reason=f"'nearly': less than twice, for {_BATCH} times as many examples",
        ),
        Rule(
            claim="cyclic order is like random order",
            place="NYU, 'Practical modification 1: Cyclic gradient descent'",
            conditions=[Condition(_CYCLIC, at_least=0.9, at_most=1.1)],
            reason="a tenth of the loss, as above",
        ),
        Rule(
            claim="but only if the order of the data is random: sorted by class it is worse",
            place="NYU, 'Practical modification 1: Cyclic gradient descent'",
            conditions=[Condition(_SORTED, at_least=1.1)],
            reason="the same tenth",
        ),
        Rule(
            claim="mini-batches that are reshuffled every epoch do better than fixed ones",
            place="OSU, 'Implementing mini-batch'",
            conditions=[Condition(_FIXED, at_least=1.01)],
            reason="a hundredth of the excess loss: less is not worth a shuffle",
        ),
        Rule(
            claim="the noise falls with the rate",
            place="OSU, 'Justification for stochastic gradient descent'",
            conditions=[Condition(_FLOOR, at_most=0.5)],
            reason="for small rates it is proportional: a quarter, and half leaves room",
        ),
        Rule(
            claim="small batches generalise better than the full gradient",
            place="Neural Networks, 'Do I lose anything by using stochastic GD?'",
            conditions=[Condition(_GENERAL, at_least=0.005)],
            reason="half a point of accuracy: a smaller difference is not called better",
        ),
    ],
    measure=measure,
    next_steps=(
        "Set _BATCH to 64: does a step still cost nearly what one of a single example does?",
        "Set _RATE to 0.1: which of the orders suffers most?",
        "assay run mnist-mlp --set optimizer=sgd --set batch_size=10, then batch_size=1000.",
    ),
)
