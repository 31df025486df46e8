"""Order of the trials that are known in advance: longest first."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.experiments.config.catalog import resolve_experiment
from assay.experiments.config.experiment import Experiment, read_experiment
from assay.experiments.run.ordering import Inputs, longest_first

MNIST = Inputs((28, 28, 1), 10)
SECONDS = {
    **{(32, 32): 0.26, (32, 128): 0.13, (32, 512): 0.09},
    **{(128, 32): 0.56, (128, 128): 0.31, (128, 512): 0.26},
    **{(512, 32): 1.75, (512, 128): 1.07, (512, 512): 0.9},
}
"""Measured seconds per epoch of 50,000 images, by hidden units and batch size."""


def configuration(units: int, batch: int = 128, **more: Any) -> dict[str, Any]:
    return {
        "hidden_units": units,
        "activation": "relu",
        "batch_size": batch,
        "learning_rate": 1e-3,
        **more,
    }


def ordered(
    given: list[Mapping[str, Any]], experiment: Experiment | None = None, workers: int = 2
) -> list[int]:
    """Return the indices of the configurations in their new order."""
    found = longest_first(given, experiment or resolve_experiment("mnist-mlp"), MNIST, workers)
    assert len(found) == len(given)
    return [next(index for index, one in enumerate(given) if one is other) for other in found]


def test_the_order_matches_measured_seconds() -> None:
    given = [configuration(*pair) for pair in sorted(SECONDS)]
    found = [sorted(SECONDS)[index] for index in ordered(given)]
    seconds = [SECONDS[pair] for pair in found]
    assert seconds == sorted(seconds, reverse=True)


def test_trials_of_equal_length_keep_their_order() -> None:
    given = [configuration(32, learning_rate=rate / 1000) for rate in (3, 1, 2)] + [
        configuration(64)
    ]
    assert ordered(given) == [3, 0, 1, 2]


def test_one_worker_keeps_the_order() -> None:
    assert ordered([configuration(16), configuration(512)], workers=1) == [0, 1]


def test_sampled_parameters_count_with_their_defaults() -> None:
    assert ordered([{"hidden_units": 32}, {"hidden_units": 512}, configuration(128)]) == [1, 2, 0]


def test_searched_epochs_count(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(
        'title = "x"\n[data]\nname = "mnist"\n[model]\nfamily = "linear"\n'
        "[space]\nepochs = [1, 2, 3]\n"
    )
    given: list[Mapping[str, Any]] = [{"epochs": epochs} for epochs in (2, 1, 3)]
    assert ordered(given, read_experiment(file)) == [2, 0, 1]


def test_user_defined_networks_keep_their_order(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text("def build(input_shape, classes, units): ...\n")
    file = tmp_path / "own.toml"
    file.write_text(
        'title = "x"\n[data]\nname = "mnist"\n[model]\nfamily = "nets.py:build"\n'
        "[space]\nunits = [1, 9]\n"
    )
    given: list[Mapping[str, Any]] = [{"units": 1}, {"units": 9}]
    assert ordered(given, read_experiment(file)) == [0, 1]


def test_two_workers_finish_sooner() -> None:
    """A long trial that starts last would delay the end."""
    pairs = sorted(SECONDS)

    def makespan(order: list[int]) -> float:
        free = [0.0, 0.0]
        for index in order:
            free[free.index(min(free))] += SECONDS[pairs[index]]
        return max(free)

    given = list(range(len(pairs)))
    longest = ordered([configuration(*pair) for pair in pairs])
    assert makespan(longest) <= min(makespan(given), makespan(given[::-1]))
    worst = max(
        itertools.islice(itertools.permutations(given), 0, None, 997),
        key=lambda order: makespan(list(order)),
    )
    assert makespan(list(worst)) > 1.2 * makespan(longest)
