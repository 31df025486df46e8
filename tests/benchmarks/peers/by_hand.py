"""Script that combines Optuna, MLflow and `fit`.

It is a careful version of what most users write: the study survives its process, every trial is a
nested run, one request logs the metrics of an epoch, and Keras' state is cleared between trials. It
saves no model. TensorFlow uses all cores, which is its default.
"""

from __future__ import annotations

import time

import keras
import mlflow
import optuna

from tests.benchmarks.configurations import ACTIVATIONS, BATCH_SIZES, HIDDEN_UNITS, LEARNING_RATES
from tests.benchmarks.peers.common import answer, arguments, load, network


def main() -> None:
    options = arguments()
    (x, y), validation_data = load(options.mnist)

    def objective(trial: optuna.Trial) -> float:
        hidden_units = trial.suggest_categorical("hidden_units", HIDDEN_UNITS)
        batch_size = trial.suggest_categorical("batch_size", BATCH_SIZES)
        activation = trial.suggest_categorical("activation", ACTIVATIONS)
        learning_rate = trial.suggest_categorical("learning_rate", LEARNING_RATES)
        keras.backend.clear_session()
        keras.utils.set_random_seed(options.seed)
        with mlflow.start_run(run_name=f"trial-{trial.number}", nested=True):
            mlflow.log_params(trial.params)
            log_epoch = keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: mlflow.log_metrics(logs, step=epoch)
            )
            history = network(hidden_units, activation, learning_rate).fit(
                x,
                y,
                batch_size=batch_size,
                epochs=options.epochs,
                validation_data=validation_data,
                verbose=0,
                callbacks=[log_epoch],
            )
        return float(history.history["val_accuracy"][-1])

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("mnist")
    study = optuna.create_study(
        storage="sqlite:///optuna.db",
        study_name="mnist",
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=options.seed),
        load_if_exists=True,
    )
    for configuration in options.configurations:
        study.enqueue_trial(configuration)
    with mlflow.start_run(run_name="sweep"):
        started = time.perf_counter()
        study.optimize(objective, n_trials=len(options.configurations))
        search_seconds = time.perf_counter() - started
        mlflow.log_metric("best_val_accuracy", study.best_value)
    answer(
        study.best_value,
        search_seconds,
        len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE])),
    )


if __name__ == "__main__":
    main()
