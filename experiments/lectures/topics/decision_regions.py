"""Regions of the plane that networks decide: half-planes, polygons, and compositions of them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.optimize import linprog

from assay.experiments.data.sources.generated import GeneratedSource
from assay.experiments.data.sources.toy_sets import (
    DISC_CENTRES,
    DISC_RADIUS,
    HALF_SPACES,
    QUADRANTS,
    RING,
    THREE_DISCS,
)
from assay.experiments.evaluation.summaries import mean_interval
from assay.experiments.lectures.bench import Bench, TrainedStudy, compare, to_number
from assay.experiments.lectures.drawing import plot_seeds
from assay.experiments.lectures.lecture import LectureExperiment, Measured
from assay.experiments.lectures.panels import draw_plane, draw_points, new_panels
from assay.experiments.lectures.rules import Condition, Number, Rule
from assay.experiments.lectures.two_layers import (
    Array,
    Trained,
    TwoLayers,
    pick_seed,
    sigmoid,
    train_by_adam,
)
from assay.experiments.report.page.document import Picture, Table, columns
from assay.experiments.report.page.drawing import (
    BLUE,
    SERIES,
    VERMILLION,
    drawing,
    legend_above,
    new_figure,
)

_XOR = """
title = "XOR's four points, with linear and with tanh units"
source = "Columbia, Optimization II, 'Necessity of multiple layers (2)'"

[data]
name = "xor"
noise = 0.0
samples = 200

[model]
family = "mlp"
hidden_units = 4

[train]
epochs = {epochs}
learning_rate = 0.01
batch_size = 20

[space]
activation = ["identity", "tanh"]

[[baseline]]
activation = "identity"

[[baseline]]
activation = "tanh"
"""
_DEPTHS = """
title = "Regions of networks with more and more layers"
source = "Fraida Fund, 'Non-linear units and many layers of weights'"

[data]
name = "{name}"

[model]
family = "mlp"

[train]
epochs = {epochs}
learning_rate = 0.01
batch_size = 100

[space]
activation = ["identity", "relu"]
hidden_units = [[8], [28], [8, 8]]

[[baseline]]
activation = "identity"
hidden_units = [8]

[[baseline]]
activation = "relu"
hidden_units = [28]

[[baseline]]
activation = "relu"
hidden_units = [8, 8]
"""
_LAYERS: Mapping[str, Mapping[str, object]] = {
    "1 layer of weights": {"activation": "identity", "hidden_units": [8]},
    "2 layers of weights": {"activation": "relu", "hidden_units": [28]},
    "3 layers of weights": {"activation": "relu", "hidden_units": [8, 8]},
}
"""The networks of `_DEPTHS`. Layers of linear units are one layer: see linear-network. Those of 2
and 3 layers have 142 and 114 weights.
"""
_DEPTH_SETS = ("half-spaces", "modes")
_RECIPE_SETS = {
    "half-spaces": HALF_SPACES,
    "quadrants": QUADRANTS,
    "ring": RING,
    "modes": THREE_DISCS,
}
_RECIPE_UNITS, _RECIPE_SEEDS = 4, 5
_KEPT, _PRINT_EVERY = (20, 100, 300), 100
"""Epochs after which regions are drawn, and that the recipe prints."""

_SHOWN_SET = "half-spaces"
"""Whose hidden units are drawn: as many as it has half-spaces."""

_SIDES = 16
"""Of the polygons around three discs."""

_TEST_POINTS, _SHOWN_POINTS = 10_000, 3_000
_PALE_BLUE, _PALE_ORANGE = "#9EC9E6", "#F5CE7F"


def measure(bench: Bench) -> Measured:
    """Train networks of one to three layers, and the lecture's recipe by its own loop."""
    epochs = bench.pick(toy=3, short=200, full=500)
    seeds = bench.pick(toy=3, short=20, full=20)
    xor = bench.train("decision-regions-xor", _XOR.format(epochs=epochs), seeds)
    linear, curved = (
        xor.find(activation=name).scores.mean(axis=1) for name in ("identity", "tanh")
    )
    depths = {name: _train_depths(bench, name) for name in _DEPTH_SETS}
    recipes = {name: _train_recipe(bench, name) for name in _RECIPE_SETS}
    return Measured(
        numbers={
            "most of XOR's four points that a half-plane gets right": Number(most_of_xor()),
            "best accuracy on XOR with linear units": Number(
                float(linear.max()), seeds=len(linear)
            ),
            "share of seeds that get all of XOR right with tanh units": Number(
                float((curved == 1).mean()), seeds=len(curved)
            ),
            **_measure_depths(depths),
            "points at which an AND of four half-planes is wrong": Number(
                _share_wrong("half-spaces", is_in_diamond) * _TEST_POINTS
            ),
            "share of points at which an OR of three polygons is wrong": Number(
                _share_wrong("modes", is_in_polygons)
            ),
            **_measure_recipes(recipes),
        },
        pictures=[
            _build_depths(depths),
            _build_epochs(recipes),
            _build_units(recipes[_SHOWN_SET]),
            _build_curves(recipes),
        ],
        tables=[_build_table(recipes)],
        notes=[
            "XOR has no noise here: all points are the slide's four. The lecture's own points for "
            "its recipe are not printed: these are Assay's sets. Its loop is in NumPy, with "
            "PyTorch's initial weights.",
        ],
        studies=[xor.name, *(one.name for one in depths.values())],
    )


# What half-planes and compositions of them can do: no training.


def most_of_xor() -> int:
    """Return the largest number of XOR's four points that one half-plane labels correctly.

    Each of the 16 labelings is checked for a separating line by linear programming. Any monotone
    activation of a weighted sum has the same regions: half-planes.
    """
    corners = np.array([(1, 1), (1, -1), (-1, 1), (-1, -1)], np.float64)
    wanted = np.prod(corners, axis=1)
    return max(
        int((np.array(signs) == wanted).sum())
        for signs in itertools.product((-1, 1), repeat=4)
        if is_separable(corners, np.array(signs))
    )


def is_separable(points: Array, signs: Array) -> bool:
    """Return whether a line has all points of sign 1 on one side and those of -1 on the other."""
    # signs (w x + b) >= 1, which scaling w and b reaches whenever there is a line at all.
    rows = -signs[:, np.newaxis] * np.column_stack([points, np.ones(len(points))])
    found = linprog(np.zeros(3), A_ub=rows, b_ub=-np.ones(len(points)), bounds=(None, None))
    return bool(found.status == 0)


def is_in_diamond(x: Array) -> Array:
    """Return what four step units and an AND give (n,): inside all four half-spaces."""
    kernel = np.array([(-1, -1), (1, 1), (-1, 1), (1, -1)], np.float64).T
    features = x @ kernel + 1 >= 0
    inside: Array = features.sum(axis=1) - 3.5 >= 0
    return inside


def is_in_polygons(x: Array) -> Array:
    """Return what three layers of step units give (n,): inside one of three polygons.

    The first layer has the sides of regular polygons, the second one an AND for each of them, and
    the third an OR. A polygon has the area of its disc.
    """
    angles = 2 * np.pi * np.arange(_SIDES) / _SIDES
    normals = np.stack([np.cos(angles), np.sin(angles)])
    distance = DISC_RADIUS * np.sqrt(np.pi / _SIDES / np.tan(np.pi / _SIDES))
    ands = [
        (distance - (x - np.array(centre)) @ normals >= 0).sum(axis=1) - (_SIDES - 0.5) >= 0
        for centre in DISC_CENTRES
    ]
    inside: Array = np.sum(ands, axis=0) - 0.5 >= 0
    return inside


def _share_wrong(name: str, contains: Callable[[Array], Array]) -> float:
    arrays = GeneratedSource(name).load()
    wrong = contains(arrays.x_test.astype(np.float64)) != (arrays.y_test == 1)
    return float(wrong.mean())


# Networks that are trained by Keras.


def _train_depths(bench: Bench, name: str) -> TrainedStudy:
    text = _DEPTHS.format(name=name, epochs=bench.pick(toy=3, short=200, full=500))
    return bench.train(f"decision-regions-{name}", text, seeds=bench.pick(toy=3, short=5, full=10))


def _measure_depths(depths: Mapping[str, TrainedStudy]) -> Mapping[str, Number]:
    numbers: dict[str, Number] = {}
    for name, trained in depths.items():
        by_layers = {layers: trained.find(**params) for layers, params in _LAYERS.items()}
        compared = compare(by_layers)
        one, two, three = by_layers
        numbers |= {f"{name}, accuracy of {key}": value.test for key, value in by_layers.items()}
        numbers[f"{name}, 2 layers minus 1"] = compared[two, one]
        numbers[f"{name}, 3 layers minus 2"] = compared[three, two]
    return numbers


# The lecture's recipe.


@dataclass(frozen=True)
class _Recipe:
    """Networks of the lecture's recipe on one set.

    Attributes:
        x: training points (examples, 2).
        y: their labels.
        new_x: points that were not trained on.
        new_y: their labels.
        half_width: of the square of the points.
        trained: how the networks were trained, one for each seed.
    """

    x: Array
    y: Array
    new_x: Array
    new_y: Array
    half_width: float
    trained: Trained


def _train_recipe(bench: Bench, name: str) -> _Recipe:
    """Train 4 sigmoid units by Adam at 0.01, with batches of 100."""
    arrays = GeneratedSource(name).load()
    x, new_x = arrays.x_train.astype(np.float64), arrays.x_test.astype(np.float64)
    random = np.random.default_rng(0)
    trained = train_by_adam(
        TwoLayers.draw("sigmoid", 2, _RECIPE_UNITS, _RECIPE_SEEDS, random),
        x,
        arrays.y_train.astype(np.float64),
        epochs=bench.pick(toy=300, short=2_000, full=2_000),
        random=random,
        keep=_KEPT,
    )
    half_width = _RECIPE_SETS[name].half_width
    return _Recipe(x, arrays.y_train, new_x, arrays.y_test, half_width, trained)


def _measure_recipes(recipes: Mapping[str, _Recipe]) -> Mapping[str, Number]:
    shown = recipes[_SHOWN_SET]
    losses = shown.trained.loss.mean(axis=0)[_PRINT_EVERY - 1 :: _PRINT_EVERY]
    accuracy = shown.trained.accuracy
    return {
        "recipe, half-spaces: share of 100-epoch steps over which the mean loss falls": Number(
            float((np.diff(losses) < 0).mean())
        ),
        "recipe, half-spaces: training accuracy of the last epoch minus the first": to_number(
            mean_interval(accuracy[:, -1] - accuracy[:, 0])
        ),
        **{
            f"recipe, {name}: accuracy on new points": to_number(
                mean_interval(one.trained.last.measure_accuracy(one.new_x, one.new_y))
            )
            for name, one in recipes.items()
        },
        **{
            f"recipe, {name}: share of midpoints outside": to_number(
                mean_interval(
                    [
                        share_outside(network, one.half_width)
                        for seed in range(_RECIPE_SEEDS)
                        for network in (pick_seed(one.trained.last, seed),)
                    ]
                )
            )
            for name, one in recipes.items()
        },
    }


def share_outside(network: TwoLayers, half_width: float) -> float:
    """Return how often the middle of two points of a region lies outside of it; 0 if it is convex.

    The region is where the network's output is above 1/2, in the square of that half width.
    100,000 pairs are drawn; without two points in the region it is 0.
    """
    random = np.random.default_rng(0)
    x = random.uniform(-half_width, half_width, (100_000, 2))
    inside = x[network.compute_logits(x)[0] > 0]
    if len(inside) < 2:
        return 0.0
    pairs = random.integers(len(inside), size=(2, 100_000))
    middle = (inside[pairs[0]] + inside[pairs[1]]) / 2
    return float((network.compute_logits(middle)[0] <= 0).mean())


# Figures.


def _build_depths(depths: Mapping[str, TrainedStudy]) -> Picture:
    accuracies = [
        f"{name}, {layers}: {trained.find(**params).test.value:.3f}"
        for name, trained in depths.items()
        for layers, params in _LAYERS.items()
    ]
    return Picture(
        name="decision-regions-layers",
        caption=(
            "Which of 3,000 test points one network of each kind places inside (orange) and "
            "outside (blue); dark points are those that it gets wrong. Above the four half-spaces "
            "of a diamond, below three discs."
        ),
        alt=f"Test accuracy: {'; '.join(accuracies)}.",
        svg=_draw_depths(depths),
    )


@drawing
def _draw_depths(depths: Mapping[str, TrainedStudy]) -> Figure:
    figure, rows = new_panels(len(depths), len(_LAYERS), 1.65 * len(depths))
    for row, (name, trained) in zip(rows, depths.items(), strict=True):
        arrays = GeneratedSource(name).load()
        for axes, (layers, params) in zip(row, _LAYERS.items(), strict=True):
            is_right = trained.find(**params).scores[0] == 1
            predicted = np.where(is_right, arrays.y_test, 1 - arrays.y_test)
            is_shown = np.arange(len(is_right)) < _SHOWN_POINTS
            for chosen, color in (
                (is_right & (predicted == 0), _PALE_BLUE),
                (is_right & (predicted == 1), _PALE_ORANGE),
                (~is_right & (predicted == 0), BLUE),
                (~is_right & (predicted == 1), VERMILLION),
            ):
                x = arrays.x_test[chosen & is_shown]
                axes.plot(*x.T, ".", color=color, ms=2.6, mew=0, rasterized=True)
            axes.set(aspect="equal", xticks=[], yticks=[])
            axes.set_title(f"{layers.removesuffix(' of weights')}: {is_right.mean():.3f}")
            axes.title.set_fontsize(8)
        row[0].set_ylabel(name, fontsize=8.5)
    return figure


def _compute_output(network: TwoLayers, x: Array) -> Array:
    return sigmoid(network.compute_logits(x)[0])


def _compute_unit(network: TwoLayers, place: int, x: Array) -> Array:
    return network.compute_hidden(x)[0, :, place]


def _build_epochs(recipes: Mapping[str, _Recipe]) -> Picture:
    ends = [
        f"{name} {one.trained.last.measure_accuracy(one.new_x, one.new_y)[0]:.3f}"
        for name, one in recipes.items()
    ]
    return Picture(
        name="decision-regions-epochs",
        caption=(
            "The region of the lecture's network of 4 sigmoid units as it is trained, on four "
            "sets. Orange is the class inside, with the points of both classes on it; the line is "
            "where the output is 1/2."
        ),
        alt=f"Accuracy of these networks on new points at the end: {', '.join(ends)}.",
        svg=_draw_epochs(recipes),
    )


@drawing
def _draw_epochs(recipes: Mapping[str, _Recipe]) -> Figure:
    epochs = sorted(recipes[_SHOWN_SET].trained.networks)
    figure, rows = new_panels(len(recipes), len(epochs), 1.0 * len(recipes) + 0.2)
    for row, (name, recipe) in zip(rows, recipes.items(), strict=True):
        for axes, epoch in zip(row, epochs, strict=True):
            network = recipe.trained.networks[epoch]
            draw_plane(axes, functools.partial(_compute_output, network), recipe.half_width)
            draw_points(axes, recipe.x, recipe.y, most=150)
            if row is rows[0]:
                axes.set_title(f"epoch {epoch:,}" if epoch else "start", fontsize=8)
        row[0].set_ylabel(name, fontsize=8.5)
    return figure


def _build_units(recipe: _Recipe) -> Picture:
    kernel = recipe.trained.last.output_kernel[0, :, 0]
    return Picture(
        name="decision-regions-units",
        caption=(
            f"What each of the 4 hidden units of the first network on {_SHOWN_SET} gives, from 0 "
            "(blue) to 1 (orange), with the weight by which it enters the output; beside them the "
            "network's own output. Before training, in between, and at the end."
        ),
        alt="Output weights at the end: " + ", ".join(f"{weight:.2f}" for weight in kernel),
        svg=_draw_units(recipe),
    )


@drawing
def _draw_units(recipe: _Recipe) -> Figure:
    epochs = sorted(recipe.trained.networks)
    shown = [epochs[0], epochs[len(epochs) // 2], epochs[-1]]
    figure, rows = new_panels(len(shown), _RECIPE_UNITS + 1, 1.08 * len(shown))
    for row, epoch in zip(rows, shown, strict=True):
        network = recipe.trained.networks[epoch]
        for place, axes in enumerate(row[:-1]):
            draw_plane(axes, functools.partial(_compute_unit, network, place), recipe.half_width)
            axes.set_title(f"w = {network.output_kernel[0, place, 0]:.2f}", fontsize=8)
        draw_plane(row[-1], functools.partial(_compute_output, network), recipe.half_width)
        row[-1].set_title("output", fontsize=8)
        row[0].set_ylabel(f"epoch {epoch:,}", fontsize=8.5)
    return figure


def _build_curves(recipes: Mapping[str, _Recipe]) -> Picture:
    return Picture(
        name="decision-regions-curves",
        caption=(
            "Loss and accuracy on the training points by epoch, of the lecture's recipe: the mean "
            "over the seeds, and a band from the lowest to the highest of them."
        ),
        alt="Accuracy at the end: "
        + ", ".join(
            f"{name} {one.trained.accuracy[:, -1].mean():.3f}" for name, one in recipes.items()
        ),
        svg=_draw_curves(recipes),
    )


@drawing
def _draw_curves(recipes: Mapping[str, _Recipe]) -> Figure:
    colors = dict(zip(recipes, SERIES, strict=True))
    figure, panels = new_figure(4.3, (1.0, 1.0))
    for axes, name in zip(panels, ("loss", "accuracy"), strict=True):
        for key, recipe in recipes.items():
            curves = getattr(recipe.trained, name)
            # About 100 points: more make the file larger, and nothing else.
            every = max(1, curves.shape[1] // 100)
            epochs = np.arange(1, curves.shape[1] + 1)[::every]
            plot_seeds(axes, curves[:, ::every], colors[key], x=epochs.tolist())
        axes.set_ylabel(name)
    panels[-1].set_xlabel("epoch")
    legend_above(
        figure, [Line2D([], [], color=color, label=name) for name, color in colors.items()]
    )
    return figure


def _build_table(recipes: Mapping[str, _Recipe]) -> Table:
    return Table(
        "The lecture's recipe on four sets: the mean over the seeds, after the last epoch.",
        columns("set", "#loss", "#training accuracy", "#accuracy on new points"),
        [
            [
                name,
                f"{one.trained.loss[:, -1].mean():.3f}",
                f"{one.trained.accuracy[:, -1].mean():.4f}",
                f"{one.trained.last.measure_accuracy(one.new_x, one.new_y).mean():.4f}",
            ]
            for name, one in recipes.items()
        ],
    )


EXPERIMENT = LectureExperiment(
    name="decision-regions",
    title="Decision regions by depth",
    source=(
        "Columbia, Optimization II, 'Necessity of multiple layers'; Fraida Fund, 'Non-linear units "
        "and one layer of weights' to 'Non-linear units and many layers of weights'; OSU ECE 5307 "
        "unit 8, 'Implementing and Training Neural Nets with PyTorch'"
    ),
    claim=(
        "Without a hidden layer a network decides by a half-plane, which gets at most 3 of XOR's 4 "
        "points right; one hidden layer gives convex polygons, and two give compositions of them"
    ),
    rules=[
        Rule(
            claim="without a hidden layer at most 3 of XOR's 4 points are right",
            place="Columbia, 'Necessity of multiple layers (2)'",
            conditions=[
                Condition(
                    "most of XOR's four points that a half-plane gets right", at_least=3, at_most=3
                ),
                Condition("best accuracy on XOR with linear units", at_most=0.75),
            ],
            reason="3 of 4 points, counted over all labelings that a line can give",
        ),
        Rule(
            claim="with a hidden layer of 4 units training gets all of them right",
            place="Columbia, 'Necessity of multiple layers (2)'",
            conditions=[
                Condition("share of seeds that get all of XOR right with tanh units", at_least=0.95)
            ],
            reason="19 of 20 seeds: one may end in a local minimum (Fund, 'Training challenges')",
        ),
        Rule(
            claim="one layer of weights is not enough for four half-spaces, and two are",
            place="Fund, 'Non-linear units and two layers of weights'",
            conditions=[
                Condition("points at which an AND of four half-planes is wrong", at_most=0),
                Condition("half-spaces, 2 layers minus 1", at_least=0.1),
                Condition("half-spaces, accuracy of 2 layers of weights", at_least=0.95),
            ],
            reason=(
                "the diamond is an AND of four half-planes exactly; ten points of accuracy, and "
                "less than one new point of 20 wrong, can be seen in a picture"
            ),
        ),
        Rule(
            claim="the region of two layers of weights is convex",
            place="Fund, 'Non-linear units and two layers of weights'",
            conditions=[
                Condition(f"recipe, {name}: share of midpoints outside", at_most=0.01)
                for name in _RECIPE_SETS
            ],
            reason=(
                "of a convex region no midpoint of two points is outside; one of 100 is less than "
                "round corners of sigmoid units could add"
            ),
        ),
        Rule(
            claim="three layers of weights compose polygons, and do better on three discs than two",
            place="Fund, 'Non-linear units and many layers of weights'",
            conditions=[
                Condition(
                    "share of points at which an OR of three polygons is wrong", at_most=0.01
                ),
                Condition("modes, 3 layers minus 2", at_least=0),
                Condition("modes, accuracy of 3 layers of weights", at_least=0.95),
            ],
            reason=(
                "polygons of 16 sides differ from discs by 1 % of the area; the claim is of an "
                "order, so any difference counts; less than one new point of 20 wrong"
            ),
        ),
        Rule(
            claim="with the recipe of 4 units the loss falls and the accuracy rises",
            place="OSU, 'Performance vs. epoch'",
            conditions=[
                Condition(
                    "recipe, half-spaces: share of 100-epoch steps over which the mean loss falls",
                    at_least=0.9,
                ),
                Condition(
                    "recipe, half-spaces: training accuracy of the last epoch minus the first",
                    at_least=0.1,
                ),
            ],
            reason=(
                "nine steps of ten between the epochs that the recipe prints, and ten points: more "
                "than one epoch's noise on 1,000 points"
            ),
        ),
    ],
    measure=measure,
    next_steps=(
        "assay new xor --data xor, then assay run xor.toml --set activation=identity: where does "
        "the accuracy stop?",
        "Set _RECIPE_UNITS to 3, the fewest sides of a polygon: which of the four sets suffer?",
        "In _DEPTHS give two layers of weights 280 units: do three discs still need three layers?",
    ),
    minutes=4,
)
