"""With an unsupported release of Keras, documented API gives the same numbers."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from assay.models import keras_compat
from assay.models.architectures.precompiled import replace_optimizer
from assay.models.architectures.registry import FAMILIES, get_family
from assay.models.backends import current_backend
from assay.models.data import TrainingData
from assay.models.errors import RequestError
from assay.models.recipe import Recipe
from assay.models.seeding import seed_everything
from assay.models.training.config import OPTIMIZERS, TrainSettings
from assay.models.worker import preload
from assay.models.worker.trainer import Trainer
from assay.models.worker.trial_spec import TrialSpec
from tests.helpers.prepared_data import assign

ON_JAX = keras.backend.backend() == "jax"

OPTIMIZER_SETTINGS: list[dict[str, Any]] = [
    *({"optimizer": name} for name in OPTIMIZERS),
    *({"optimizer": name, "weight_decay": 0.1, "clip_norm": 0.5} for name in OPTIMIZERS),
    {"optimizer": "momentum", "momentum": 0.7, "nesterov": True},
    {"optimizer": "momentum", "momentum": 0.0},
    {"optimizer": "adam", "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3, "clip_value": 0.01},
    {"optimizer": "adamw", "schedule": "cosine", "warmup_epochs": 0.5},
]


@pytest.fixture
def unsupported(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that makes the installed release unsupported."""
    assert keras_compat.is_supported()
    return lambda: monkeypatch.setattr(keras_compat, "is_supported", lambda: False)


def train(recipe: Recipe, data: TrainingData) -> tuple[list[dict[str, float]], list[np.ndarray]]:
    """Return the metrics of each epoch and the final weights."""
    seed_everything(7)
    model = recipe.compile(recipe.describe(data.shape.input_shape, data.shape.outputs))
    if not ON_JAX:
        model.jit_compile = False
    metrics = list(recipe.fit(model, current_backend().load_dataset(data), seed=7))
    return metrics, model.get_weights()


def assert_alike(one: Any, other: Any) -> None:
    # TensorFlow's Adam kernel subtracts a float32 beta_2 from 1, Keras a double: 1.3e-5 apart.
    for metrics, other_metrics in zip(one[0], other[0], strict=True):
        assert metrics == pytest.approx(other_metrics, rel=3e-5, abs=1e-6)
    for weights, other_weights in zip(one[1], other[1], strict=True):
        np.testing.assert_allclose(weights, other_weights, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", OPTIMIZER_SETTINGS, ids=str)
def test_every_optimizer_gives_the_same_losses_and_weights(
    settings: dict[str, Any], data: TrainingData, unsupported: Callable[[], None]
) -> None:
    recipe = Recipe(
        FAMILIES["mlp"],
        FAMILIES["mlp"].settings(hidden_units=8, dropout=0.2, batch_norm=True),
        TrainSettings(epochs=2, learning_rate=0.01, **settings),
    )
    supported_result = train(recipe, data)
    unsupported()
    assert_alike(supported_result, train(recipe, data))


@pytest.mark.skipif(ON_JAX, reason="steps are replaced on TensorFlow only")
def test_an_unsupported_release_uses_the_optimizer_of_keras(
    data: TrainingData, unsupported: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    def kernel(**arguments: Any) -> None:
        raise AssertionError("a kernel was used")

    monkeypatch.setattr(tf.raw_ops, "ResourceApplyAdam", kernel)
    recipe = Recipe(FAMILIES["linear"], FAMILIES["linear"].settings(), TrainSettings(epochs=1))
    with pytest.raises(AssertionError, match="a kernel was used"):
        train(recipe, data)
    unsupported()
    train(recipe, data)


def test_seeding_gives_the_same_initial_weights_and_seeds(unsupported: Callable[[], None]) -> None:
    def initial_values() -> list[np.ndarray]:
        seed_everything(11)
        settings = FAMILIES["mlp"].settings(hidden_units=8, dropout=0.5)
        model = FAMILIES["mlp"].describe(settings, (8, 8, 1), 3)
        drawn = [np.asarray(keras.random.normal((3,))), np.random.normal(size=3)]
        return [*(np.array(variable.value) for variable in model.variables), *drawn]

    before = initial_values()
    unsupported()
    for one, other in zip(before, initial_values(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.skipif(not ON_JAX, reason="elsewhere variables are created by a step")
@pytest.mark.parametrize("family", ["mlp", "nets.py:functional", "nets.py:subclassed"])
def test_building_gives_the_same_variables(
    family: str, data: TrainingData, own_nets: Path, unsupported: Callable[[], None]
) -> None:
    chosen = get_family(family, [str(own_nets)])
    recipe = Recipe(chosen, chosen.settings(), TrainSettings(optimizer="momentum"))
    dataset = current_backend().load_dataset(data)

    def built_values() -> list[np.ndarray]:
        seed_everything(3)
        model = recipe.compile(recipe.describe(data.shape.input_shape, data.shape.outputs))
        dataset.build_variables(model, _config(recipe))
        model.reset_metrics()
        variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
        return [np.array(variable.value) for variable in variables]

    before = built_values()
    unsupported()
    for one, other in zip(before, built_values(), strict=True):
        np.testing.assert_array_equal(one, other)


def _config(recipe: Recipe) -> Any:
    from assay.models.training.fit import make_input_config

    return make_input_config(recipe.train, recipe.one_hot)


class TestReplacingTheOptimizer:
    def test_gives_the_same_numbers(
        self, trainer: Trainer, folder: Path, own_nets: Path, unsupported: Callable[[], None]
    ) -> None:
        spec = assign(
            folder, "nets.py:compiled", folders=[own_nets], train={"optimizer": "momentum"}
        )

        def epochs() -> list[dict[str, float]]:
            trainer.begin(spec)
            return [trainer.epoch()["metrics"] for _ in range(2)]

        before = epochs()
        unsupported()
        for one, other in zip(before, epochs(), strict=True):
            assert one == pytest.approx(other, rel=1e-5)

    def test_keeps_how_the_model_was_compiled(self, unsupported: Callable[[], None]) -> None:
        def compiled() -> dict[str, Any]:
            model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
            loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
            metrics = [keras.metrics.CategoricalAccuracy(name="right"), "mse"]
            model.compile("sgd", loss, metrics=metrics, loss_weights=[0.5], run_eagerly=True)
            replace_optimizer(model, keras.optimizers.Adam(0.25, name="adam"))
            config: dict[str, Any] = model.get_compile_config()
            return config

        before = compiled()
        unsupported()
        assert compiled() == before
        assert before["optimizer"]["config"]["learning_rate"] == 0.25

    def test_refuses_what_cannot_be_serialised(self, unsupported: Callable[[], None]) -> None:
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        model.compile("sgd", lambda y, f: keras.ops.mean(f) * keras.ops.sum(y))
        replace_optimizer(model, keras.optimizers.Adam())
        unsupported()
        with pytest.raises(RequestError, match=r"can serialise: received <function .*'own'"):
            replace_optimizer(model, keras.optimizers.Adam())


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="there, every epoch is Keras' own fit"
)
def test_a_built_in_family_that_cannot_be_traced_is_trained_by_fit(
    threads: int, folder: Path, unsupported: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def metrics() -> dict[str, float]:
        trainer = Trainer(threads, xla="off" if not ON_JAX else "auto")
        trainer.begin(assign(folder, "linear"))
        values: dict[str, float] = trainer.epoch()["metrics"]
        return values

    def fail(*arguments: Any) -> None:
        raise TypeError("this release has no such step")

    before = metrics()
    monkeypatch.setattr(type(_fast_dataset(threads, folder)), "compile_epoch", fail)
    with pytest.raises(TypeError, match="no such step"):
        metrics()
    unsupported()
    assert metrics() == pytest.approx(before, rel=3e-5)


def _fast_dataset(threads: int, folder: Path) -> Any:
    spec = TrialSpec.read(assign(folder), "the trial")
    return Trainer(threads)._cache.get_dataset(spec).fast


def test_packages_are_hidden_from_supported_releases_only(
    unsupported: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden: list[str] = []
    hide_packages = preload.hide_packages

    def note(packages: Any) -> Any:
        hidden.extend(packages)
        return hide_packages(packages)

    monkeypatch.setattr(preload, "hide_packages", note)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    preload.preload()
    assert {"pandas", "sklearn"} <= set(hidden)
    hidden.clear()
    unsupported()
    preload.preload()
    assert hidden == []


@pytest.mark.skipif(not ON_JAX, reason="trials are trained together on JAX")
def test_trials_with_different_weight_decays_are_trained_in_two_batches(
    folder: Path, unsupported: Callable[[], None]
) -> None:
    from assay.models.worker.vmap_trainer import VmapTrainer

    specs = [
        {
            **assign(folder, "linear", seed=seed, train={"weight_decay": decay}),
            "order_seed": 5,
        }
        for seed, decay in ((1, 0.1), (2, 0.3), (3, 0.3))
    ]

    def epoch() -> tuple[int, list[dict[str, float]]]:
        trainer = VmapTrainer(threads=1, calibrate=False)
        for method in ("begin", "epoch"):
            replies = trainer.batch(
                [
                    {
                        "lane": lane,
                        "method": method,
                        "arguments": {"spec": spec} if method == "begin" else {},
                    }
                    for lane, spec in enumerate(specs)
                ]
            )
        batches = {trial.batch for trial in trainer._vectorized_trials.values()}
        return len(batches), [reply["metrics"] for reply in replies]  # type: ignore[index]

    count, metrics = epoch()
    unsupported()
    other_count, other_metrics = epoch()
    assert (count, other_count) == (1, 2)
    for one, other in zip(metrics, other_metrics, strict=True):
        assert one == pytest.approx(other, rel=2e-4, abs=1e-5)
