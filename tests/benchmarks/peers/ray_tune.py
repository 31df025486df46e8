"""Ray Tune with one core per trial and reused actors.

As many trials run at a time as there are cores. Ray's object store holds the images once, and the
actors map them into memory. TensorFlow uses the one core of its trial.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

# Makes Ray's servers listen on 127.0.0.1 only, on Linux too.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"

import ray
from ray import tune

from assay.search.system.hardware import count_cores
from tests.benchmarks.peers.common import Pair, answer, arguments, load, network


def train(config: dict[str, Any], data: tuple[Pair, Pair], epochs: int, seed: int) -> None:
    """Train a trial and report every epoch.

    A report has the time at which the trial began. The imports come before it, because an actor
    spends time on them only once.
    """
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    began = time.time()
    (x, y), validation_data = data
    chosen = config["configuration"]
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    report = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: tune.report({**logs, "began": began, "ended": time.time()})
    )
    network(chosen["hidden_units"], chosen["activation"], chosen["learning_rate"]).fit(
        x,
        y,
        batch_size=chosen["batch_size"],
        epochs=epochs,
        validation_data=validation_data,
        verbose=0,
        callbacks=[report],
    )


def main() -> None:
    options = arguments()
    # The default, /tmp/ray, would leave files outside of the folder.
    ray_options = {
        "include_dashboard": False,
        "log_to_driver": False,
        "_temp_dir": str(Path.cwd() / "ray"),
    }
    ray.init(num_cpus=count_cores(), logging_level="ERROR", **ray_options)
    trainable = tune.with_parameters(
        train, data=load(options.mnist), epochs=options.epochs, seed=options.seed
    )
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"configuration": tune.grid_search(options.configurations)},
        tune_config=tune.TuneConfig(metric="val_accuracy", mode="max", reuse_actors=True),
        run_config=tune.RunConfig(
            name="mnist", storage_path=str(Path.cwd() / "results"), verbose=0
        ),
    )
    results = tuner.fit()
    metrics = [
        result.metrics for result in results if result.error is None and result.metrics is not None
    ]
    search_seconds = max(each["ended"] for each in metrics) - min(each["began"] for each in metrics)
    answer(results.get_best_result().metrics["val_accuracy"], search_seconds, len(metrics))
    ray.shutdown()


if __name__ == "__main__":
    main()
