"""Thin and tall networks against fat and short ones with the same number of parameters."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from assay.experiments.lectures.bench import (
    Bench,
    TrainedConfiguration,
    TrainedStudy,
    compare,
)
from assay.experiments.lectures.drawing import draw_rows
from assay.experiments.lectures.lecture import LectureExperiment, Measured
from assay.experiments.lectures.rules import Condition, Number, Rule
from assay.experiments.report.page.document import Table, columns

_SEEDS = 5
_DEPTHS = (1, 2, 4)
_SHALLOW, _DEEP = _DEPTHS[0], _DEPTHS[-1]


@dataclass(frozen=True)
class Budget:
    """A number of parameters on a data set.

    Attributes:
        data: name of the data set.
        inputs: number of inputs.
        units: width of the network of one hidden layer, which sets the number of parameters.
    """

    data: str
    inputs: int
    units: int

    @property
    def name(self) -> str:
        """What it is called in numbers and tables."""
        return f"{self.data}, {count_parameters(self.inputs, 1, self.units):,} parameters"


_OUTPUTS = 10
_BUDGETS = (Budget("mnist", 784, 25), Budget("mnist", 784, 100), Budget("cifar10", 3072, 50))

_NETWORKS = """
title = "Deep and wide networks with as many parameters on {data}"
source = "Neural Networks, 'Fat + Short v.s. Thin + Tall'"

[data]
name = "{data}"
train_images = {images}
scale = "standard"

[model]
family = "mlp"
activation = "relu"
initializer = "he_normal"

[train]
epochs = {epochs}
learning_rate = 1e-3
batch_size = 100

[space]
hidden_layers = {depths}
hidden_units = {widths}
"""
_BASELINE = """
[[baseline]]
hidden_layers = {depth}
hidden_units = {width}
"""


def count_parameters(inputs: int, layers: int, units: int, outputs: int = _OUTPUTS) -> int:
    """Return the number of weights and biases of a network of equal hidden layers.

    Args:
        inputs: number of inputs.
        layers: number of hidden layers.
        units: units of each.
        outputs: number of outputs.

    Example:
        >>> count_parameters(784, 1, 100)
        79510
    """
    hidden = (inputs + 1) * units + (layers - 1) * (units + 1) * units
    return hidden + (units + 1) * outputs


def find_width(inputs: int, layers: int, parameters: int) -> int:
    """Return the width of hidden layers whose number of parameters is nearest to a given one.

    Example:
        >>> find_width(784, 4, 79_510)
        77
    """
    widths = range(1, parameters // inputs + 2)
    return min(widths, key=lambda units: abs(count_parameters(inputs, layers, units) - parameters))


def list_shapes(budget: Budget) -> dict[int, int]:
    """Return the width of the network of each depth that has as many parameters."""
    parameters = count_parameters(budget.inputs, 1, budget.units)
    return {depth: find_width(budget.inputs, depth, parameters) for depth in _DEPTHS}


def measure(bench: Bench) -> Measured:
    """Train networks of each depth for each budget, on several seeds."""
    studies: dict[str, TrainedStudy] = {}
    for data in dict.fromkeys(one.data for one in _BUDGETS):
        shapes = [
            (depth, width)
            for budget in _BUDGETS
            if budget.data == data
            for depth, width in list_shapes(budget).items()
        ]
        studies[data] = bench.train(f"deep-or-wide-{data}", _write(bench, data, shapes), _SEEDS)
    found = {
        budget: {
            depth: studies[budget.data].find(hidden_layers=depth, hidden_units=width)
            for depth, width in list_shapes(budget).items()
        }
        for budget in _BUDGETS
    }
    numbers: dict[str, Number] = {}
    for budget, networks in found.items():
        named = {str(depth): one for depth, one in networks.items()}
        numbers[_gap_name(budget)] = compare(named)[str(_DEEP), str(_SHALLOW)]
    for budget, networks in found.items():
        times = {depth: _epoch_seconds(one) for depth, one in networks.items()}
        numbers[_time_name(budget)] = Number(times[_DEEP] / times[_SHALLOW])
    return Measured(
        numbers=numbers,
        pictures=[
            draw_rows(
                f"deep-or-wide-{place}",
                {
                    f"{depth} x {list_shapes(budget)[depth]} units": one.test
                    for depth, one in networks.items()
                },
                "accuracy on the test set",
                f"{budget.name}: test accuracy by hidden layers and their width, the mean over the "
                "seeds and its 95 % interval over new seeds.",
            )
            for place, (budget, networks) in enumerate(found.items(), 1)
        ],
        tables=[_shape_table()],
        studies=[study.name for study in studies.values()],
    )


def _write(bench: Bench, data: str, shapes: Sequence[tuple[int, int]]) -> str:
    text = _NETWORKS.format(
        data=data,
        images=bench.pick(toy=500, short=10_000, full=40_000),
        epochs=bench.pick(toy=1, short=10, full=30),
        depths=list(_DEPTHS),
        widths=sorted({width for _, width in shapes}),
    )
    return text + "".join(_BASELINE.format(depth=depth, width=width) for depth, width in shapes)


def _epoch_seconds(configuration: TrainedConfiguration) -> float:
    return statistics.median(
        epoch.seconds for one in configuration.trainings for epoch in one.epochs
    )


def _gap_name(budget: Budget) -> str:
    return f"{budget.name}: test accuracy of {_DEEP} layers minus that of {_SHALLOW}"


def _time_name(budget: Budget) -> str:
    return f"{budget.name}: seconds of an epoch of {_DEEP} layers, in those of {_SHALLOW}"


def _shape_table() -> Table:
    return Table(
        "The networks: layers, width, and number of parameters.",
        columns("budget", "#hidden layers", "#units of each", "#parameters"),
        [
            [
                budget.name,
                str(depth),
                str(width),
                f"{count_parameters(budget.inputs, depth, width):,}",
            ]
            for budget in _BUDGETS
            for depth, width in list_shapes(budget).items()
        ],
    )


EXPERIMENT = LectureExperiment(
    name="deep-or-wide",
    title="Thin and tall, or fat and short",
    source=(
        "Neural Networks, 'Why deep?' and 'Fat + Short v.s. Thin + Tall'; Fraida Fund, 'Deep "
        "networks'"
    ),
    claim="With as many parameters, a deep and thin network is better than a shallow and wide one",
    rules=[
        Rule(
            claim=f"{_DEEP} hidden layers are better than {_SHALLOW} with as many parameters",
            place="Neural Networks, 'Fat + Short v.s. Thin + Tall'",
            conditions=[Condition(_gap_name(budget), at_least=0.005) for budget in _BUDGETS],
            reason="half a point: less would not pay for the trouble",
        ),
        Rule(
            claim="deep networks take longer to train",
            place="Fund, 'Deep networks'",
            conditions=[Condition(_time_name(budget), at_least=1.2) for budget in _BUDGETS],
            reason="a fifth more: times of an epoch vary by a tenth on a machine with other work",
        ),
    ],
    measure=measure,
    next_steps=(
        "assay run mnist-mlp --set hidden_layers=8 --set hidden_units=60: is deeper still better?",
        "Add batch_norm = true under [model]: do deep networks catch up?",
        "assay lectures deep-or-wide --full: with all images and more epochs.",
    ),
)
