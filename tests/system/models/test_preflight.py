"""Preflight check: what is wrong with a user's model, and look-alikes that are right."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from assay.models.errors import RequestError
from assay.models.worker.trainer import Trainer
from tests.helpers.prepared_data import assign, write_folder, write_rows
from tests.system.models.conftest import WriteFactory

HEAD = """
import keras
from keras import layers, ops

def sequential(input_shape, *parts):
    return keras.Sequential([keras.Input(input_shape), *parts])

"""
FACTORY = "def build(input_shape, classes):\n"


@pytest.fixture
def write_spec(own: WriteFactory, folder: Path) -> WriteFactory:
    """Return a function that writes nets.py below `HEAD`, and returns a trial spec for it."""

    def write(source: str, data: Path = folder, **tables: Any) -> dict[str, Any]:
        return own(HEAD + source, data=data, **tables)

    return write


def check(trainer: Trainer, spec: dict[str, Any], **names: list[str]) -> dict[str, Any]:
    return trainer.check(spec, **names)


def check_and_begin(trainer: Trainer, spec: dict[str, Any]) -> None:
    """Check and begin, as the preflight check of a sweep does.

    A layer at the top of a file gets its variables in the first call.
    """
    check(trainer, spec)
    trainer.begin(spec)


def train_first_epoch(trainer: Trainer, spec: dict[str, Any]) -> dict[str, float]:
    trainer.begin(spec)
    metrics: dict[str, float] = trainer.epoch()["metrics"]
    trainer.drop()
    return metrics


class TestSharedState:
    """Trials of one process start from new weights, whatever the user's file makes at its top."""

    @pytest.mark.parametrize(
        ("source", "owner"),
        [
            pytest.param(
                "HIDDEN = layers.Dense(8)\n" + FACTORY + "    return sequential(input_shape, "
                "layers.Flatten(), HIDDEN, layers.Dense(classes))",
                r"Dense 'dense\w*' \(nets.py, line 8\).* with 2 variables",
                id="a layer",
            ),
            pytest.param(
                "PARTS = [layers.Flatten(), layers.Dense(8)]\n" + FACTORY + "    "
                "return sequential(input_shape, *PARTS, layers.Dense(classes))",
                r"Dense 'dense\w*' \(nets.py, line 8\)",
                id="layers in a list",
            ),
            pytest.param(
                "BASE = sequential((8, 8, 1), layers.Conv2D(4, 3), layers.GlobalMaxPooling2D())\n"
                + FACTORY
                + "    x = keras.Input(input_shape)\n"
                "    return keras.Model(x, layers.Dense(classes)(BASE(x)))",
                r"Sequential '.*' \(nets.py, line 8\)",
                id="a backbone that is trained",
            ),
            pytest.param(
                "import functools\n@functools.cache\ndef base(units):\n"
                "    return layers.Dense(units)\n"
                + FACTORY
                + "    return sequential(input_shape, layers.Flatten(), base(8), "
                "layers.Dense(classes))",
                "Dense 'dense",
                id="a cache",
            ),
            pytest.param(
                "NORM = layers.BatchNormalization(center=False, scale=False)\n"
                + FACTORY
                + "    return sequential(input_shape, NORM, layers.Flatten(), "
                "layers.Dense(classes))",
                "BatchNormalization.*was changed by an earlier trial",
                id="statistics that training updates",
            ),
            pytest.param(
                "OPTIMIZER = keras.optimizers.Adam()\n"
                + FACTORY
                + "    model = sequential(input_shape, layers.Flatten(), layers.Dense(classes))\n"
                "    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)\n"
                "    model.compile(OPTIMIZER, loss)\n    return model",
                r"Adam 'adam\w*' \(nets.py, line 8\)",
                id="an optimizer of its own",
            ),
        ],
    )
    def test_what_a_trial_would_continue_is_refused(
        self, source: str, owner: str, trainer: Trainer, write_spec: WriteFactory
    ) -> None:
        train = {"optimizer": "own"} if "OPTIMIZER" in source else {}
        spec = write_spec(source, train=train)
        message = f"must make what it trains anew.*{owner}"
        with pytest.raises(RequestError, match=message) as caught:
            check_and_begin(trainer, spec)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "source",
        [
            pytest.param(
                "BASE = sequential((8, 8, 1), layers.Conv2D(4, 3), layers.BatchNormalization(), "
                "layers.GlobalMaxPooling2D())\nBASE.trainable = False\n"
                + FACTORY
                + "    x = keras.Input(input_shape)\n"
                "    return keras.Model(x, layers.Dense(classes)(BASE(x)))",
                id="a frozen backbone",
            ),
            pytest.param(
                "PARTS = [layers.Flatten(), layers.Rescaling(1.0), layers.Activation('relu')]\n"
                + FACTORY
                + "    return sequential(input_shape, *PARTS, layers.Dense(classes))",
                id="layers without weights",
            ),
            pytest.param(
                "AUGMENT = keras.Sequential([layers.RandomFlip(), layers.GaussianNoise(0.1)])\n"
                "DROP = layers.Dropout(0.5)\n"
                + FACTORY
                + "    return sequential(input_shape, AUGMENT, layers.Flatten(), DROP, "
                "layers.Dense(classes))",
                id="augmentation and dropout",
            ),
            pytest.param(
                "ACCURACY = keras.metrics.SparseCategoricalAccuracy(name='right')\n"
                "LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)\n"
                + FACTORY
                + "    model = sequential(input_shape, layers.Flatten(), layers.Dense(classes))\n"
                "    model.compile('sgd', LOSS, metrics=[ACCURACY])\n    return model",
                id="a metric and a loss",
            ),
            pytest.param(
                "OPTIMIZER = keras.optimizers.Adam()\n"
                + FACTORY
                + "    model = sequential(input_shape, layers.Flatten(), layers.Dense(classes))\n"
                "    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)\n"
                "    model.compile(OPTIMIZER, loss)\n    return model",
                id="an optimizer that is replaced",
            ),
            pytest.param(
                FACTORY
                + "    noise = layers.GaussianNoise(0.5)\n    x = keras.Input(input_shape)\n"
                "    hidden = noise(layers.Flatten()(x), training=True)\n"
                "    return keras.Model(x, layers.Dense(classes)(hidden))",
                id="noise in validation too",
            ),
            pytest.param(
                FACTORY + "    same = layers.Dense(64)\n    return sequential(input_shape, "
                "layers.Flatten(), layers.Dense(8), layers.Dense(classes))",
                id="all made anew",
            ),
        ],
    )
    def test_what_no_trial_changes_may_be_shared(
        self, source: str, trainer: Trainer, write_spec: WriteFactory
    ) -> None:
        spec = write_spec(source)
        assert check(trainer, spec)["warnings"] == []
        first, other, again = (
            train_first_epoch(trainer, {**spec, "seed": seed}) for seed in (3, 4, 3)
        )
        assert first == again
        assert first != other

    @pytest.mark.parametrize(
        ("source", "received"),
        [
            pytest.param(
                "def build(input_shape, classes, units=8, hidden=[]):\n"
                "    hidden.append(units)\n    dense = [layers.Dense(n) for n in hidden]\n"
                "    return sequential(input_shape, layers.Flatten(), *dense, "
                "layers.Dense(classes))",
                "a model of .* parameters, then one of",
                id="a default argument that grows",
            ),
            pytest.param(
                "BEST = {}\nclass Net(keras.Sequential):\n"
                "    def fit(self, *arguments, **settings):\n"
                "        history = super().fit(*arguments, **settings)\n"
                "        BEST['weights'] = self.get_weights()\n        return history\n"
                + FACTORY
                + "    model = Net([keras.Input(input_shape), layers.Flatten(), "
                "layers.Dense(classes)])\n"
                "    if BEST:\n        model.set_weights(BEST['weights'])\n    return model",
                "other initial weights after a training",
                id="weights that are kept and set again",
            ),
            pytest.param(
                "SCALE = keras.Variable(1.0)\nclass Warm(layers.Layer):\n"
                "    def __init__(self):\n        super().__init__()\n"
                "        object.__setattr__(self, '_scale', [SCALE])\n"
                "    def call(self, x, training=False):\n"
                "        if training:\n            SCALE.assign(SCALE * 0.9)\n"
                "        return x * SCALE\n    def get_config(self):\n        return {}\n"
                + FACTORY
                + "    return sequential(input_shape, layers.Flatten(), Warm(), "
                "layers.Dense(classes))",
                "a variable .* that training changes",
                id="a variable that no model tracks",
            ),
            pytest.param(
                "class Annealed(keras.losses.Loss):\n    weight = 0.5\n"
                "    def call(self, y, logits):\n        Annealed.weight *= 1.1\n"
                "        each = keras.losses.sparse_categorical_crossentropy(y, logits, True)\n"
                "        return Annealed.weight * each\n"
                + FACTORY
                + "    model = sequential(input_shape, layers.Flatten(), layers.Dense(classes))\n"
                "    model.compile('sgd', Annealed(), metrics=['accuracy'])\n    return model",
                "losses of .* for the same weights and examples",
                id="a number that its loss changes",
            ),
            pytest.param(
                "CALLS = []\nclass Cooled(layers.Layer):\n    def call(self, x, training=False):\n"
                "        if training:\n            CALLS.append(1)\n"
                "        return x * (1 + len(CALLS))\n    def get_config(self):\n"
                "        return {}\n"
                + FACTORY
                + "    return sequential(input_shape, layers.Flatten(), layers.Dense(classes), "
                "Cooled())",
                "losses of .* for the same weights and examples",
                id="a list that its layer fills",
            ),
        ],
    )
    def test_what_a_factory_keeps_between_calls_is_refused(
        self, source: str, received: str, trainer: Trainer, write_spec: WriteFactory
    ) -> None:
        if "SCALE" in source and keras.backend.backend() == "jax":
            pytest.skip("on JAX, training is pure: it cannot change such a variable")
        with pytest.raises(RequestError, match=f"must return the same untrained model.*{received}"):
            check(trainer, write_spec(source))

    @pytest.mark.skipif(keras.backend.backend() == "jax", reason="on JAX, training is pure")
    @pytest.mark.parametrize(("teacher", "is_kept"), [("TEACHER or ", True), ("", False)])
    def test_a_variable_that_the_first_call_leaves_in_a_global_is_refused(
        self, teacher: str, is_kept: bool, trainer: Trainer, write_spec: WriteFactory
    ) -> None:
        """A teacher, for example, that follows the student."""
        source = (
            "TEACHER = None\nclass Student(keras.Sequential):\n    def train_step(self, data):\n"
            "        done = super().train_step(data)\n"
            "        for mine, teachers in zip(self.weights, TEACHER.weights):\n"
            "            teachers.assign(0.9 * teachers + 0.1 * mine)\n        return done\n"
            "def parts(input_shape, classes):\n"
            "    return [keras.Input(input_shape), layers.Flatten(), layers.Dense(classes)]\n"
            + FACTORY
            + "    global TEACHER\n"
            f"    TEACHER = {teacher}keras.Sequential(parts(input_shape, classes))\n"
            "    return Student(parts(input_shape, classes))"
        )
        spec = write_spec(source)
        if not is_kept:
            check_and_begin(trainer, spec)
            return
        with pytest.raises(RequestError, match="outside of the model that training changes"):
            check(trainer, spec)

    @pytest.mark.skipif(keras.backend.backend() == "jax", reason="variables of TensorFlow")
    @pytest.mark.parametrize("holder", ["", "class Annealing:\n    "])
    def test_variables_of_tensorflow_have_their_initial_values_in_each_trial(
        self, holder: str, trainer: Trainer, write_spec: WriteFactory
    ) -> None:
        name = "Annealing.WEIGHT" if holder else "WEIGHT"
        spec = write_spec(
            f"import tensorflow as tf\n{holder}WEIGHT = tf.Variable(1.0)\n"
            "class Net(keras.Sequential):\n    def train_step(self, data):\n"
            f"        {name}.assign({name} * 0.9)\n        return super().train_step(data)\n"
            "    def compute_loss(self, *arguments, **named):\n"
            f"        return {name} * super().compute_loss(*arguments, **named)\n"
            + FACTORY
            + "    return Net([keras.Input(input_shape), layers.Flatten(), layers.Dense(classes)])"
        )
        assert check(trainer, spec)["warnings"] == []
        first, again = (train_first_epoch(trainer, {**spec, "seed": 3}) for _ in range(2))
        assert first == again

    def test_weights_that_do_not_follow_from_the_seed_are_no_memory(
        self, trainer: Trainer, write_spec: WriteFactory
    ) -> None:
        source = (
            "import numpy, time\n"
            + FACTORY
            + "    model = sequential(input_shape, layers.Flatten(), layers.Dense(classes))\n"
            "    noise = numpy.random.default_rng(time.time_ns()).normal(size=(64, 3)) * 0.01\n"
            "    model.layers[-1].kernel.assign(noise)\n    return model"
        )
        assert check(trainer, write_spec(source))["warnings"] == []

    def test_a_refusal_in_the_middle_of_a_search_is_the_trials(
        self, trainer: Trainer, write_spec: WriteFactory
    ) -> None:
        """A cache that only some configurations fill is seen by the trial that finds it full."""
        spec = write_spec(
            "CACHE = {}\ndef build(input_shape, classes, cached=False):\n"
            "    hidden = layers.Dense(8)\n"
            "    hidden = CACHE.setdefault('hidden', hidden) if cached else hidden\n"
            "    return sequential(input_shape, layers.Flatten(), hidden, layers.Dense(classes))"
        )
        cached = {**spec, "model": {"cached": True}}
        for plain_or_cached in (spec, cached, spec):
            train_first_epoch(trainer, plain_or_cached)
        with pytest.raises(RequestError, match="must make what it trains anew"):
            trainer.begin(cached)

    def test_the_precision_of_the_file_is_that_of_every_trial(
        self, trainer: Trainer, write_spec: WriteFactory
    ) -> None:
        spec = write_spec(
            "keras.config.set_dtype_policy('mixed_bfloat16')\n" + FACTORY + "    "
            "return sequential(input_shape, layers.Flatten(), layers.Dense(classes))"
        )
        assert [check(trainer, spec)["precision"] for _ in range(2)] == ["mixed_bfloat16"] * 2

    def test_a_last_layer_of_float32_leaves_the_precision_mixed(
        self, trainer: Trainer, write_spec: WriteFactory
    ) -> None:
        source = (
            FACTORY + "    keras.config.set_dtype_policy('mixed_bfloat16')\n"
            "    return sequential(input_shape, layers.Flatten(), layers.Dense(8), "
            "layers.Dense(classes, dtype='float32'))"
        )
        assert check(trainer, write_spec(source))["precision"] == "mixed_bfloat16"


ENDS = {
    "a softmax layer": "layers.Dense(classes), layers.Softmax()",
    "a softmax activation": "layers.Dense(classes, activation='softmax')",
    "a softmax of zeros": "layers.Dense(classes, 'softmax', kernel_initializer='zeros')",
    "a sigmoid": "layers.Dense(classes, activation='sigmoid')",
    "logits": "layers.Dense(classes)",
    "logits of zeros": "layers.Dense(classes, kernel_initializer='zeros')",
    "log probabilities": "layers.Dense(classes, activation='log_softmax')",
    "scores above 0": "layers.Dense(classes, activation='relu', kernel_initializer='ones'), "
    "layers.Rescaling(1e-4)",
    "scores of 1e-11": "layers.Rescaling(1e-11), layers.Dense(classes)",
    "a rectifier": "layers.Dense(classes, activation='relu')",
    "scores of both signs": "layers.Dense(classes, activation='tanh')",
}
SPARSE = "keras.losses.SparseCategoricalCrossentropy(from_logits={})"


def ending(end: str) -> str:
    return FACTORY + f"    return sequential(input_shape, layers.Flatten(), {ENDS[end]})"


def compiled(end: str, loss: str) -> str:
    return (
        FACTORY
        + f"    model = sequential(input_shape, layers.Flatten(), {ENDS[end]})\n"
        + f"    model.compile('sgd', {loss}, metrics=['accuracy'])\n    return model"
    )


AVERAGED = """class Averaged(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.flatten = layers.Flatten()
        self.heads = [layers.Dense(classes), layers.Dense(classes)]

    def call(self, x):
        x = self.flatten(x)
        return sum(ops.softmax(head(x)) for head in self.heads) / 2

    def get_config(self):
        return {"classes": 3}

def build(input_shape, classes):
    return Averaged(classes)
"""
SIXTEEN_BITS = (
    FACTORY + "    keras.config.set_dtype_policy('mixed_{}16')\n    return sequential(input_shape, "
    "layers.Flatten(), layers.Dense(classes, activation='softmax'))"
)


class TestOutputs:
    """What a model gives is what its loss takes."""

    @pytest.mark.parametrize(
        ("source", "train", "message"),
        [
            pytest.param(
                ending(end),
                {"loss": loss},
                f"must give logits, .*as from a {'softmax' if 'softmax' in end else 'sigmoid'};"
                " remove",
                id=f"{end}, {loss}",
            )
            for end, loss in (
                ("a softmax layer", "cross_entropy"),
                ("a softmax layer", "binary_cross_entropy"),
                ("a softmax layer", "hinge"),
                ("a softmax activation", "cross_entropy"),
                ("a softmax of zeros", "cross_entropy"),
                ("a sigmoid", "cross_entropy"),
                ("a sigmoid", "binary_cross_entropy"),
            )
        ]
        + [
            pytest.param(
                ending("a softmax layer"), {"label_smoothing": 0.2}, "give logits", id="smoothed"
            ),
            pytest.param(AVERAGED, {}, "give logits", id="a subclass that averages"),
            pytest.param(SIXTEEN_BITS.format("bfloat"), {}, "give logits", id="bfloat16"),
            pytest.param(SIXTEEN_BITS.format("float"), {}, "give logits", id="float16"),
            pytest.param(
                compiled("a softmax layer", SPARSE.format(True)), {}, "give logits", id="compiled"
            ),
            pytest.param(
                compiled("logits", SPARSE.format(False)),
                {},
                "must give probabilities, .*received outputs from -.*from_logits=True",
                id="logits, compiled",
            ),
            *(
                pytest.param(
                    compiled(end, "'sparse_categorical_crossentropy'"),
                    {},
                    "must give probabilities",
                    id=f"{end}, compiled by name",
                )
                for end in ("logits", "logits of zeros", "a rectifier")
            ),
            pytest.param(
                compiled(
                    "logits",
                    "lambda y, p: keras.losses.binary_crossentropy("
                    "ops.one_hot(ops.cast(y, 'int32'), 3), p)",
                ),
                {},
                "must give probabilities",
                id="logits, a loss of its own",
            ),
        ],
    )
    def test_a_mismatch_is_refused(
        self,
        source: str,
        train: dict[str, Any],
        message: str,
        trainer: Trainer,
        write_spec: WriteFactory,
    ) -> None:
        with pytest.raises(RequestError, match=message) as caught:
            check(trainer, write_spec(source, train=train))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("source", "train"),
        [
            pytest.param(ending(end), {"loss": loss}, id=f"{end}, {loss}")
            for end, loss in (
                ("logits", "cross_entropy"),
                ("logits of zeros", "cross_entropy"),
                ("log probabilities", "cross_entropy"),
                ("scores above 0", "cross_entropy"),
                ("scores above 0", "binary_cross_entropy"),
                ("scores of 1e-11", "cross_entropy"),
                ("a softmax layer", "squared_error"),
                ("a sigmoid", "absolute_error"),
                ("scores of both signs", "hinge"),
                ("logits", "hinge"),
            )
        ]
        + [
            pytest.param(compiled(end, loss), {}, id=f"{end}, {loss}")
            for end, loss in (
                ("a softmax layer", SPARSE.format(False)),
                ("a softmax activation", "'sparse_categorical_crossentropy'"),
                ("logits", SPARSE.format(True)),
                ("log probabilities", SPARSE.format(True)),
                (
                    "a sigmoid",
                    "lambda y, p: keras.losses.binary_crossentropy("
                    "ops.one_hot(ops.cast(y, 'int32'), 3), p)",
                ),
                (
                    "logits",
                    "lambda y, p: keras.losses.cosine_similarity("
                    "ops.one_hot(ops.cast(y, 'int32'), 3), p)",
                ),
                ("logits", "lambda y, p: 0.0 * ops.mean(p, axis=-1)"),
            )
        ],
    )
    def test_what_goes_together_passes(
        self, source: str, train: dict[str, Any], trainer: Trainer, write_spec: WriteFactory
    ) -> None:
        check(trainer, write_spec(source, train=train))


NLL = "lambda y, p: -ops.sum(ops.one_hot(ops.cast(y, 'int32'), 3) * p, axis=-1)"


@pytest.mark.parametrize(
    ("source", "train", "message"),
    [
        pytest.param(compiled("logits", NLL), {}, "without bound", id="logits for log-likelihood"),
        pytest.param(compiled("log probabilities", NLL), {}, None, id="log probabilities"),
        pytest.param(ending("scores of both signs"), {}, "between -1 and 1", id="tanh"),
        pytest.param(ending("scores of both signs"), {"loss": "hinge"}, None, id="tanh for hinge"),
    ],
)
def test_outputs_that_limit_the_loss_are_said(
    source: str,
    train: dict[str, Any],
    message: str | None,
    trainer: Trainer,
    write_spec: WriteFactory,
) -> None:
    warnings = check(trainer, write_spec(source, train=train))["warnings"]
    found = [warning for warning in warnings if "can't be loaded" not in warning]
    assert len(found) == (message is not None)
    assert all(str(message) in warning for warning in found)


SCALING_CALL = """class Scaling(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.flatten, self.out = layers.Flatten(), layers.Dense(classes)

    def call(self, x):
        return self.out(self.flatten({}))

    def get_config(self):
        return {{"classes": 3}}

def build(input_shape, classes):
    return Scaling(classes)
"""


def beginning(parts: str) -> str:
    return (
        FACTORY + f"    return sequential(input_shape, {parts}, layers.Flatten(), "
        "layers.Dense(8), layers.Dense(classes))"
    )


class TestScaling:
    """Inputs are scaled once."""

    @pytest.mark.parametrize("scale", ["unit", "standard"])
    @pytest.mark.parametrize(
        "source",
        [
            pytest.param(beginning("layers.Rescaling(1 / 255)"), id="a layer"),
            pytest.param(beginning("layers.Rescaling(1 / 127.5, offset=-1)"), id="to -1 and 1"),
            pytest.param(
                beginning("layers.Normalization(mean=100.0, variance=2500.0)"), id="normalization"
            ),
            pytest.param(SCALING_CALL.format("x / 255.0"), id="inside a call"),
            pytest.param(
                FACTORY + "    import numpy\n    random = numpy.random.default_rng(0)\n"
                "    raw = random.integers(0, 220, (500, *input_shape)).astype('float32')\n"
                "    norm = layers.Normalization()\n    norm.adapt(raw)\n"
                "    return sequential(input_shape, norm, layers.Flatten(), layers.Dense(classes))",
                id="adapted to the raw numbers",
            ),
            pytest.param(
                beginning("layers.Rescaling(1 / 255), layers.BatchNormalization()"),
                id="before another layer",
            ),
            pytest.param(beginning("layers.Rescaling(1.0, offset=-110.0)"), id="the mean of bytes"),
        ],
    )
    def test_twice_is_said(
        self, source: str, scale: str, trainer: Trainer, write_spec: WriteFactory
    ) -> None:
        [warning] = check(trainer, write_spec(source, scale=scale))["warnings"]
        assert "scaled twice" in warning
        assert "scale = 'none'" in warning

    @pytest.mark.parametrize(
        ("source", "scale"),
        [
            pytest.param(beginning("layers.Rescaling(1 / 255)"), "none", id="by the model alone"),
            pytest.param(beginning("layers.Rescaling(2.0, offset=-1)"), "unit", id="to -1 and 1"),
            pytest.param(
                beginning("layers.BatchNormalization()"), "unit", id="normalized in batches"
            ),
            pytest.param(beginning("layers.LayerNormalization()"), "standard", id="in layers"),
            pytest.param(beginning("layers.AveragePooling2D(4)"), "unit", id="pooled"),
            pytest.param(
                beginning("layers.Conv2D(4, 3, kernel_initializer='zeros')"), "unit", id="zeros"
            ),
            pytest.param(SCALING_CALL.format("x - 0.5"), "unit", id="centred in a call"),
        ],
    )
    def test_once_is_silent(
        self, source: str, scale: str, trainer: Trainer, write_spec: WriteFactory
    ) -> None:
        assert check(trainer, write_spec(source, scale=scale))["warnings"] == []

    NORMALIZED = (
        FACTORY + "    norm = layers.Normalization(mean={}, variance={})\n"
        "    return sequential(input_shape, norm, layers.Dense(classes))"
    )

    @pytest.mark.parametrize(
        ("mean", "variance", "is_twice"),
        [
            pytest.param([50.0, 2e4, 0.3, 5.0], [4e2, 1e8, 0.04, 4.0], True, id="of raw features"),
            pytest.param([0.5] * 4, [0.05] * 4, False, id="of scaled features"),
        ],
    )
    def test_features_of_different_sizes(
        self,
        mean: list[float],
        variance: list[float],
        is_twice: bool,
        trainer: Trainer,
        write_spec: WriteFactory,
        tmp_path: Path,
    ) -> None:
        random = np.random.default_rng(0)
        rows = random.normal([50.0, 2e4, 0.3, 5.0], [20.0, 1e4, 0.2, 2.0], (150, 4))
        low, high = rows.min(axis=0), rows.max(axis=0)
        factor, offset = 1 / (high - low), -low / (high - low)
        data = write_tokens(tmp_path / "rows", rows, list(factor), list(offset))
        warnings = check(trainer, write_spec(self.NORMALIZED.format(mean, variance), data))
        assert ["scaled twice" in warning for warning in warnings["warnings"]] == [True] * is_twice


def write_tokens(
    folder: Path,
    numbers: np.ndarray[Any, Any],
    factor: list[float] | None = None,
    offset: list[float] | None = None,
) -> Path:
    """Write rows of these numbers, scaled to [0, 1] by "unit"."""
    scales = {
        "unit": {"factor": factor or [1 / float(numbers.max())], "offset": offset or [0.0]},
        "none": {"factor": [1.0], "offset": [0.0]},
    }
    write_folder(folder, input_shape=[numbers.shape[1]], scales=scales)
    for split, count in (("train", 150), ("validation", 40)):
        np.save(folder / f"x_{split}.npy", numbers[:count].astype(np.float32))
    return folder


class TestIndices:
    """Whole numbers that the model uses as indices are not scaled."""

    TOKENS = np.random.default_rng(0).integers(1, 50, (150, 6))

    @pytest.mark.parametrize(
        "source",
        [
            pytest.param(
                FACTORY + "    return sequential(input_shape, layers.Embedding(50, 4), "
                "layers.GlobalAveragePooling1D(), layers.Dense(classes))",
                id="an Embedding",
            ),
            pytest.param(
                "class Tokens(layers.Layer):\n"
                "    def build(self, shape):\n        self.table = self.add_weight((50, 4))\n"
                "    def call(self, x):\n"
                "        return ops.mean(ops.take(self.table, ops.cast(x, 'int32'), axis=0), 1)\n"
                + FACTORY
                + "    return sequential(input_shape, Tokens(), layers.Dense(classes))",
                id="a table of its own",
            ),
            pytest.param(
                FACTORY + "    return sequential(input_shape, layers.Embedding(50, 4), "
                "layers.LSTM(4), layers.Dense(classes, kernel_initializer='zeros'))",
                id="a head of zeros",
            ),
        ],
    )
    def test_they_are_recognised(
        self, source: str, trainer: Trainer, write_spec: WriteFactory, tmp_path: Path
    ) -> None:
        data = write_tokens(tmp_path / "tokens", self.TOKENS)
        checked = check(trainer, write_spec(source, data))
        assert checked["uses_indices"]
        assert checked["warnings"] == []

    @pytest.mark.parametrize(
        "source",
        [
            pytest.param(
                FACTORY + "    return sequential(input_shape, layers.Dense(classes))", id="numbers"
            ),
            pytest.param(
                FACTORY + "    return sequential(input_shape, layers.Dense(classes, "
                "kernel_initializer='zeros'))",
                id="weights of zeros",
            ),
            pytest.param(
                FACTORY
                + "    x = keras.Input(input_shape)\n    cut = ops.cast(x > 0.5, 'float32')\n"
                "    return keras.Model(x, layers.Dense(classes)(cut))",
                id="a threshold",
            ),
        ],
    )
    def test_other_whole_numbers_are_scaled(
        self, source: str, trainer: Trainer, write_spec: WriteFactory, tmp_path: Path
    ) -> None:
        data = write_tokens(tmp_path / "tokens", self.TOKENS)
        checked = check(trainer, write_spec(source, data))
        assert not checked["uses_indices"]
        assert checked["warnings"] == []

    def test_some_columns_that_are_indices_are_said(
        self, trainer: Trainer, write_spec: WriteFactory, tmp_path: Path
    ) -> None:
        source = (
            FACTORY + "    x = keras.Input(input_shape)\n    kind = layers.Flatten()("
            "layers.Embedding(50, 4)(x[:, :1]))\n"
            "    both = layers.Concatenate()([kind, x[:, 1:]])\n"
            "    return keras.Model(x, layers.Dense(classes)(both))"
        )
        data = write_tokens(tmp_path / "tokens", self.TOKENS)
        [warning] = check(trainer, write_spec(source, data))["warnings"]
        assert "uses the inputs 0 as indices" in warning


class TestNames:
    """A name that [train] and the factory both know says whose it is."""

    SOURCE = "def build(input_shape, classes, epsilon: float = 1e-3, units=8):\n    return " + (
        "sequential(input_shape, layers.Flatten(), layers.Dense(units), layers.Dense(classes))"
    )

    def test_it_is_refused_if_it_does_not(self, trainer: Trainer, write_spec: WriteFactory) -> None:
        with pytest.raises(
            RequestError, match=r"\[train\] and nets.py:build both.*'model.epsilon'"
        ):
            check(trainer, write_spec(self.SOURCE), train_names=["batch_size", "epsilon"])

    def test_other_names_pass(self, trainer: Trainer, write_spec: WriteFactory) -> None:
        checked = check(trainer, write_spec(self.SOURCE), train_names=["batch_size"])
        assert checked["float_parameters"] == ["epsilon"]


class TestSaving:
    """What can't be kept is said before anything is trained."""

    NET = (
        "class Net(keras.Model):\n    def __init__(self, {0}):\n        super().__init__()\n"
        "        self.flatten, self.out = layers.Flatten(), layers.Dense(3)\n{1}"
        "    def call(self, x):\n        return self.out(self.flatten(x))\n"
        "def build(input_shape, classes):\n    return Net({2})\n"
    )

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            pytest.param(
                NET.format("part", "", "object()"), "can't be (saved|loaded)", id="object"
            ),
            pytest.param(
                NET.format(
                    "", "    def get_config(self):\n        raise KeyError('on purpose')\n", ""
                ),
                "no model will be kept.*can't be saved.*on purpose.*get_config",
                id="an error",
            ),
            pytest.param(
                NET.format("", "    def get_config(self):\n        return {'no': 1}\n", ""),
                "can't be loaded again.*from_config",
                id="another config",
            ),
        ],
    )
    def test_it_is_said(
        self, source: str, message: str, trainer: Trainer, write_spec: WriteFactory
    ) -> None:
        [warning] = check(trainer, write_spec(source))["warnings"]
        assert re.search(message, warning), warning

    def test_other_outputs_after_loading_are_said(
        self, trainer: Trainer, write_spec: WriteFactory
    ) -> None:
        source = (
            "class Times(layers.Layer):\n    def __init__(self, factor=1.0):\n"
            "        super().__init__()\n        self.factor = factor\n"
            "    def call(self, x):\n        return x * self.factor\n"
            "    def get_config(self):\n        return {}\n"
            + FACTORY
            + "    return sequential(input_shape, layers.Flatten(), Times(3.0), "
            "layers.Dense(classes))"
        )
        [warning] = check(trainer, write_spec(source))["warnings"]
        assert "gives other outputs once it is loaded" in warning

    @pytest.mark.parametrize(
        "source",
        [
            pytest.param(
                NET.format("", "    def get_config(self):\n        return {}\n", ""), id="a config"
            ),
            pytest.param(ending("logits"), id="built-in layers"),
        ],
    )
    def test_what_can_be_kept_is_silent(
        self, source: str, trainer: Trainer, write_spec: WriteFactory
    ) -> None:
        assert check(trainer, write_spec(source))["warnings"] == []


class TestUserCode:
    def test_every_file_that_is_loaded_is_digested(
        self, trainer: Trainer, write_spec: WriteFactory, tmp_path: Path
    ) -> None:
        (tmp_path / "blocks_of_mine.py").write_text("UNITS = 8\n")
        (tmp_path / "sizes.json").write_text("{}")
        part = keras.Sequential([keras.Input((64,)), keras.layers.Dense(8)])
        part.save_weights(tmp_path / "dense.weights.h5")
        (tmp_path / "unused.py").write_text("")
        (tmp_path.parent / "put_on_the_path").mkdir()
        (tmp_path.parent / "put_on_the_path" / "elsewhere.py").write_text("")
        source = (
            "import sys\nsys.path.append(__file__.rsplit('/', 2)[0] + '/put_on_the_path')\n"
            "import json, pathlib, elsewhere\nfrom blocks_of_mine import UNITS\n" + FACTORY + "    "
            "folder = pathlib.Path(__file__).parent\n    "
            "json.loads((folder / 'sizes.json').read_text())\n    "
            "part = sequential((64,), layers.Dense(UNITS))\n    "
            "part.load_weights(folder / 'dense.weights.h5')\n    "
            "return sequential(input_shape, layers.Flatten(), part, layers.Dense(classes))"
        )
        code = check(trainer, write_spec(source))["code"]
        assert {"nets.py", "blocks_of_mine.py", "sizes.json", "dense.weights.h5"} <= set(code)
        assert "unused.py" not in code
        assert "elsewhere.py" in code
        (tmp_path / "sizes.json").write_text("{ }")
        changed = check(trainer, write_spec(source))["code"]
        assert {name for name in code if code[name] != changed[name]} == {"sizes.json"}


OFFSET = 5_000.0


def test_a_data_format_that_the_inputs_do_not_have_is_said(
    trainer: Trainer, write_spec: WriteFactory
) -> None:
    source = (
        "keras.config.set_image_data_format('channels_first')\n"
        + FACTORY
        + "    return sequential(input_shape, layers.Flatten(), layers.Dense(classes))"
    )
    try:
        [warning] = check(trainer, write_spec(source))["warnings"]
    finally:
        keras.config.set_image_data_format("channels_last")
    assert "image_data_format to 'channels_first'" in warning


class TestTargets:
    """Targets with a large offset are centred, unless the model has the offset itself."""

    OFFSET = np.array([1.7e9, 0.0])

    @pytest.fixture
    def centred(self, tmp_path: Path) -> Path:
        folder = write_rows(tmp_path / "rows")
        meta = json.loads((folder / "meta.json").read_text())
        meta["target_offset"] = self.OFFSET.tolist()
        (folder / "meta.json").write_text(json.dumps(meta))
        return folder

    @pytest.mark.parametrize(
        ("end", "is_centred"),
        [
            pytest.param("return model", True, id="plain"),
            pytest.param(
                "model.compile('sgd', 'mean_absolute_percentage_error')\n    return model",
                False,
                id="with a loss of its own",
            ),
            pytest.param(
                "return sequential(input_shape, layers.Dense(outputs, activation='softplus'))",
                False,
                id="with positive outputs",
            ),
            pytest.param(
                "return sequential(input_shape, model, layers.Rescaling(1.0, offset=1.7e9))",
                False,
                id="with the offset",
            ),
        ],
    )
    def test_which_models_are_trained_on_centred_targets(
        self, end: str, is_centred: bool, trainer: Trainer, write_spec: WriteFactory, centred: Path
    ) -> None:
        spec = write_spec(
            "def build(input_shape, outputs):\n"
            f"    model = sequential(input_shape, layers.Dense(outputs))\n    {end}",
            centred,
            task="regression",
            scale="none",
        )
        checked = check(trainer, spec)
        assert checked["centred"] is is_centred
        is_rounded = "compile" in end
        found = ["float32 holds the targets in steps of 128" in w for w in checked["warnings"]]
        assert any(found) is is_rounded

    @pytest.mark.parametrize("family", ["linear", "nets.py:build"])
    def test_the_kept_model_adds_the_offset(
        self, family: str, trainer: Trainer, write_spec: WriteFactory, centred: Path, tmp_path: Path
    ) -> None:
        spec = write_spec(
            "class Net(keras.Model):\n    def __init__(self):\n        super().__init__()\n"
            "        self.out = layers.Dense(2)\n    def call(self, x):\n"
            "        return self.out(x)\n    def get_config(self):\n        return {}\n"
            "def build(input_shape, outputs):\n    return Net()",
            centred,
            task="regression",
            scale="none",
            train={"epochs": 1, "learning_rate": 0.1},
        )
        trainer.begin({**spec, "family": family})
        measured = trainer.epoch()["metrics"]["val_mae"]
        trainer.finish(str(tmp_path / "model.keras"))
        x, y = (np.load(centred / f"{letter}_validation.npy") for letter in "xy")
        nets = [vars(module) for name, module in sys.modules.items() if name.endswith("_nets")]
        known = nets[-1].get("Net") if nets else None
        loaded = keras.saving.load_model(tmp_path / "model.keras", custom_objects={"Net": known})
        predicted = keras.ops.convert_to_numpy(loaded(x)).astype(np.float64)
        error = np.abs(predicted - (y + self.OFFSET)).mean(axis=0)
        # JAX has no numbers of 64 bits here: 1.7e9 is rounded to a multiple of 128.
        rounding = [64.0 if keras.backend.backend() == "jax" else 1e-5, 1e-5]
        assert (np.abs(error.mean() - measured) <= 1e-4 + np.max(rounding)).all()
        plain = keras.ops.convert_to_numpy(loaded.layers[1](x))
        assert np.abs(plain - y).mean() == pytest.approx(measured, rel=1e-4)


def test_a_file_that_changes_in_the_middle_of_a_sweep_is_refused(
    trainer: Trainer, write_spec: WriteFactory
) -> None:
    """A worker that replaces another imports the user's files again."""
    spec = write_spec(ending("logits"))
    code = check(trainer, spec)["code"]
    Trainer(threads=1).begin({**spec, "code": code})
    changed = {**code, "nets.py": "0" * 64}
    with pytest.raises(RequestError, match=r"nets\.py must stay as it was while a sweep runs"):
        Trainer(threads=1).begin({**spec, "code": changed})


@pytest.fixture
def odd_keras_settings() -> Iterator[None]:
    """Set Keras' global settings as a keras.json for another program does."""
    before = (
        keras.config.image_data_format(),
        keras.config.floatx(),
        keras.config.epsilon(),
    )
    keras.config.set_image_data_format("channels_first")
    keras.config.set_floatx("float16")
    keras.config.set_epsilon(1e-3)
    yield
    keras.config.set_image_data_format(before[0])
    keras.config.set_floatx(before[1])
    keras.config.set_epsilon(before[2])


@pytest.mark.usefixtures("odd_keras_settings")
def test_keras_settings_of_the_user_do_not_reach_a_worker(threads: int, folder: Path) -> None:
    checked = check(Trainer(threads), assign(folder, "cnn", model={"filters": 4}))
    assert checked["keras_settings"] == {
        "floatx": "float32",
        "epsilon": 1e-07,
        "image_data_format": "channels_last",
    }
    assert keras.config.image_data_format() == "channels_last"


def test_what_a_file_draws_at_its_top_is_the_same_in_every_process(
    trainer: Trainer, write_spec: WriteFactory, tmp_path: Path
) -> None:
    """Which trial a worker trains first, or whether it runs the check, changes nothing."""
    source = "import numpy\nDRAWN = numpy.random.rand()\n" + ending("logits")
    drawn = set()
    for name, seed, method in (("a", 5, "check"), ("b", 6, "check"), ("c", 7, "begin")):
        spec = write_spec(source, seed=seed)
        # A file of another name is imported anew, as in another process.
        (tmp_path / f"nets_{name}.py").write_text((tmp_path / "nets.py").read_text())
        getattr(trainer, method)({**spec, "family": f"nets_{name}.py:build", "seed": seed})
        [module] = [vars(m) for n, m in sys.modules.items() if n.endswith(f"_nets_{name}")]
        drawn.add(module["DRAWN"])
    assert len(drawn) == 1
