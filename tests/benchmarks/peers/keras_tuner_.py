"""KerasTuner with an oracle that replays the list.

As KerasTuner's defaults have it, the score of a trial is that of its best epoch, whose weights are
saved. KerasTuner's random and grid search do the same per trial, but do not accept a list.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner

from tests.benchmarks.configurations import ACTIVATIONS, BATCH_SIZES, HIDDEN_UNITS, LEARNING_RATES
from tests.benchmarks.peers.common import answer, arguments, load, network


class Perceptron(keras_tuner.HyperModel):
    """Network and batch size, as KerasTuner hyperparameters."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return network(
            hp.Choice("hidden_units", list(HIDDEN_UNITS)),
            hp.Choice("activation", list(ACTIVATIONS)),
            hp.Choice("learning_rate", list(LEARNING_RATES)),
        )

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any
    ) -> Any:
        return model.fit(*args, batch_size=hp.Choice("batch_size", list(BATCH_SIZES)), **kwargs)


class ListOracle(keras_tuner.Oracle):
    """Oracle that returns the configurations of a list in order."""

    def __init__(self, configurations: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(
            objective=keras_tuner.Objective("val_accuracy", direction="max"),
            max_trials=len(configurations),
            seed=1,
        )
        self._configurations = configurations

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        status = keras_tuner.engine.trial.TrialStatus.RUNNING
        return {"status": status, "values": dict(self._configurations[int(trial_id)])}


def main() -> None:
    options = arguments()
    (x, y), validation_data = load(options.mnist)
    oracle = ListOracle(options.configurations)
    keras.utils.set_random_seed(options.seed)
    tuner = keras_tuner.Tuner(oracle, Perceptron(), directory=".", project_name="mnist")
    started = time.perf_counter()
    tuner.search(x, y, epochs=options.epochs, validation_data=validation_data, verbose=0)
    search_seconds = time.perf_counter() - started
    completed = [trial for trial in oracle.trials.values() if trial.status == "COMPLETED"]
    answer(oracle.get_best_trials(1)[0].score, search_seconds, len(completed))


if __name__ == "__main__":
    main()
