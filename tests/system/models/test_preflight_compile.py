"""Preflight check: what a user's model was compiled with, and what its outputs can reach."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from assay.models.errors import RequestError
from assay.models.worker.trainer import Trainer
from tests.helpers.prepared_data import write_folder, write_rows
from tests.system.models.conftest import WriteFactory

HEAD = """
import keras
from keras import layers, losses, metrics, ops, optimizers

CROSS_ENTROPY = losses.SparseCategoricalCrossentropy(from_logits=True)

def dense(input_shape, *parts):
    return keras.Sequential([keras.Input(input_shape), layers.Flatten(), *parts])

"""
BUILD = HEAD + "def build(input_shape, classes, **searched):\n"
REGRESSION = HEAD + "def build(input_shape, outputs):\n"


def compiled(settings: str, end: str = "layers.Dense(classes)") -> str:
    return (
        BUILD + f"    model = dense(input_shape, {end})\n    model.compile({settings})\n"
        "    return model\n"
    )


def warnings_but_loading(trainer: Trainer, spec: dict[str, Any]) -> list[str]:
    found = trainer.check(spec)["warnings"]
    return [warning for warning in found if "can't be loaded" not in warning]


class TestMetrics:
    """A metric tells right outputs from wrong ones."""

    @pytest.mark.parametrize(
        ("metric", "message"),
        [
            ("metrics.CategoricalAccuracy(name='accuracy')", "labels that are whole numbers"),
            ("'categorical_accuracy'", "labels that are whole numbers"),
            ("metrics.SparseTopKCategoricalAccuracy(k=3)", "no better for right"),
            ("'sparse_categorical_crossentropy'", "takes probabilities|no better for right"),
        ],
    )
    def test_one_that_does_not_is_said(
        self, metric: str, message: str, trainer: Trainer, own: WriteFactory
    ) -> None:
        spec = own(compiled(f"'adam', CROSS_ENTROPY, metrics=['accuracy', {metric}]"))
        [warning] = warnings_but_loading(trainer, spec)
        assert re.search(message, warning), warning

    @pytest.mark.parametrize(
        ("settings", "end"),
        [
            ("CROSS_ENTROPY, metrics=['accuracy']", "layers.Dense(classes)"),
            ("CROSS_ENTROPY, metrics=[metrics.SparseCategoricalAccuracy()]", "layers.Dense(3)"),
            (
                "CROSS_ENTROPY, metrics=[metrics.SparseTopKCategoricalAccuracy(2)]",
                "layers.Dense(3)",
            ),
            (
                "CROSS_ENTROPY, metrics=[metrics.SparseCategoricalCrossentropy(from_logits=True)]",
                "layers.Dense(3)",
            ),
            (
                "'sparse_categorical_crossentropy', metrics=['sparse_categorical_crossentropy']",
                "layers.Dense(3, activation='softmax')",
            ),
            (
                "CROSS_ENTROPY, metrics=[lambda y, p: ops.mean(ops.abs(p))]",
                "layers.Dense(3), layers.Rescaling(2.0)",
            ),
        ],
    )
    def test_others_are_silent(
        self, settings: str, end: str, trainer: Trainer, own: WriteFactory
    ) -> None:
        assert warnings_but_loading(trainer, own(compiled(f"'adam', {settings}", end))) == []

    @pytest.mark.parametrize(
        ("metric", "is_blind"),
        [("'accuracy'", True), ("'mae'", False), ("metrics.R2Score()", False)],
    )
    def test_a_metric_of_classes_in_a_regression_is_said(
        self, metric: str, is_blind: bool, trainer: Trainer, own: WriteFactory, tmp_path: Path
    ) -> None:
        source = (
            REGRESSION + "    model = dense(input_shape, layers.Dense(outputs))\n"
            f"    model.compile('adam', 'mse', metrics=[{metric}])\n    return model\n"
        )
        folder = write_rows(tmp_path / "rows", outputs=1)
        found = warnings_but_loading(
            trainer, own(source, data=folder, task="regression", scale="none")
        )
        assert ["use one for numbers as targets" in line for line in found] == [True] * is_blind


def test_a_loss_for_other_labels_is_refused_by_that_reason(
    trainer: Trainer, own: WriteFactory
) -> None:
    settings = "'adam', losses.CategoricalFocalCrossentropy()"
    spec = own(compiled(settings, "layers.Dense(3, activation='softmax')"))
    with pytest.raises(RequestError, match="for labels that are whole numbers"):
        trainer.check(spec)


class TestRange:
    """Numbers to predict lie where the outputs can go."""

    @pytest.mark.parametrize(
        ("end", "low", "high", "where"),
        [
            ("layers.Dense(outputs, activation='sigmoid')", 0, 50, "between 0 and 1"),
            ("layers.Dense(outputs, activation='tanh')", -5, 5, "between -1 and 1"),
            ("layers.Dense(outputs, activation='relu')", -5, 5, "above 0"),
            ("layers.Dense(outputs, activation='softmax')", 0, 50, "between 0 and 1"),
            ("layers.Dense(outputs, activation='softplus')", -5, 5, "above 0"),
            ("layers.Dense(outputs)", -50, 50, None),
            ("layers.Dense(outputs, kernel_initializer='zeros')", -50, 50, None),
            ("layers.Dense(outputs, activation='softplus')", 0, 50, None),
            ("layers.Dense(outputs, activation='sigmoid')", 0, 0.99, None),
            ("layers.Dense(outputs, activation='tanh'), layers.Rescaling(10.0)", -9, 9, None),
            ("layers.Dense(outputs, activation='elu')", -0.5, 50, None),
        ],
    )
    def test_targets_out_of_reach_are_said(
        self,
        end: str,
        low: float,
        high: float,
        where: str | None,
        trainer: Trainer,
        own: WriteFactory,
        tmp_path: Path,
    ) -> None:
        folder = write_rows(tmp_path / "rows")
        for split in ("train", "validation"):
            y = np.load(folder / f"y_{split}.npy")
            scaled = low + (high - low) * (y - y.min()) / (y.max() - y.min())
            np.save(folder / f"y_{split}.npy", scaled.astype(np.float32))
        source = REGRESSION + f"    return dense(input_shape, layers.Dense(8), {end})\n"
        found = warnings_but_loading(
            trainer, own(source, data=folder, task="regression", scale="none")
        )
        assert [str(where) in line for line in found] == [True] * (where is not None)


class TestSeveralLabels:
    """Targets of 0 and 1, several of which may hold: outputs and loss go together."""

    @pytest.fixture(params=[1, 2], ids=["one label", "two labels"])
    def folder(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        folder = write_rows(tmp_path / "labels", outputs=request.param)
        for split in ("train", "validation"):
            y = np.load(folder / f"y_{split}.npy")
            np.save(folder / f"y_{split}.npy", (y > y.mean(axis=0)).astype(np.float32))
        return folder

    def build(self, end: str, loss: str) -> str:
        return (
            REGRESSION + f"    model = dense(input_shape, {end})\n"
            f"    model.compile('adam', {loss})\n    return model\n"
        )

    @pytest.mark.parametrize(
        ("end", "loss", "message"),
        [
            ("layers.Dense(outputs)", "'binary_crossentropy'", "must give probabilities"),
            (
                "layers.Dense(outputs), layers.Rescaling(2.0)",
                "losses.BinaryCrossentropy()",
                "must give probabilities",
            ),
            (
                "layers.Dense(outputs, activation='sigmoid'), layers.Rescaling(1.0)",
                "losses.BinaryCrossentropy(from_logits=True)",
                "must give logits",
            ),
        ],
    )
    def test_a_mismatch_is_refused(
        self, end: str, loss: str, message: str, trainer: Trainer, own: WriteFactory, folder: Path
    ) -> None:
        spec = own(self.build(end, loss), data=folder, task="regression", scale="none")
        with pytest.raises(RequestError, match=message):
            trainer.check(spec)

    @pytest.mark.parametrize(
        ("end", "loss"),
        [
            ("layers.Dense(outputs, activation='sigmoid')", "'binary_crossentropy'"),
            ("layers.Dense(outputs)", "losses.BinaryCrossentropy(from_logits=True)"),
            ("layers.Dense(outputs)", "'mse'"),
            ("layers.Dense(outputs, activation='sigmoid')", "'mae'"),
        ],
    )
    def test_what_goes_together_passes(
        self, end: str, loss: str, trainer: Trainer, own: WriteFactory, folder: Path
    ) -> None:
        spec = own(self.build(end, loss), data=folder, task="regression", scale="none")
        assert warnings_but_loading(trainer, spec) == []

    def test_a_softmax_over_one_number_is_said(
        self, trainer: Trainer, own: WriteFactory, folder: Path
    ) -> None:
        source = self.build("layers.Dense(outputs, activation='softmax')", "'binary_crossentropy'")
        spec = own(source, data=folder, task="regression", scale="none")
        is_one = np.load(folder / "y_train.npy").shape[1] == 1
        found = warnings_but_loading(trainer, spec)
        assert ["is always 1" in line for line in found] == [True] * is_one


@pytest.mark.parametrize(
    ("parts", "is_twice"),
    [
        ("layers.Dense(3, activation='softmax'), layers.Softmax()", True),
        ("layers.Dense(3), layers.Softmax(), layers.Activation('softmax')", True),
        ("layers.Dense(8, activation='softmax'), layers.Dense(3, activation='softmax')", False),
        ("layers.Dense(3), layers.Softmax()", False),
        ("layers.Dense(3, activation='softmax', kernel_initializer='zeros')", False),
    ],
)
def test_a_softmax_of_a_softmax_is_said(
    parts: str, is_twice: bool, trainer: Trainer, own: WriteFactory
) -> None:
    spec = own(compiled("'adam', 'sparse_categorical_crossentropy'", parts))
    found = warnings_but_loading(trainer, spec)
    assert ["a softmax followed another" in line for line in found] == [True] * is_twice


COSINE = """
class Cosine(layers.Layer):
    def __init__(self, classes, scale=1.0):
        super().__init__()
        self.classes, self.scale = classes, scale

    def build(self, shape):
        self.kernel = self.add_weight((shape[-1], self.classes))

    def call(self, x):
        return self.scale * ops.normalize(x) @ ops.normalize(self.kernel, axis=0)

    def get_config(self):
        return {"classes": self.classes, "scale": self.scale}

"""


@pytest.mark.parametrize(("scale", "is_bounded"), [(1.0, True), (30.0, False)])
def test_cosines_without_a_scale_are_said(
    scale: float, is_bounded: bool, trainer: Trainer, own: WriteFactory
) -> None:
    source = (
        HEAD + COSINE + "def build(input_shape, classes):\n"
        f"    return dense(input_shape, layers.Dense(8, 'relu'), Cosine(classes, {scale}))\n"
    )
    found = warnings_but_loading(trainer, own(source))
    assert ["stay between -1 and 1" in line for line in found] == [True] * is_bounded


class TestOptimizer:
    """What the user sets of an optimizer has an effect."""

    FACTORY = (
        HEAD + "def build(input_shape, classes, units=8, rate=1e-3, decay=0.0):\n"
        "    model = dense(input_shape, layers.Dense(units), layers.Dense(classes))\n"
        "    model.compile(optimizers.{}, CROSS_ENTROPY)\n    return model\n"
    )

    @pytest.mark.parametrize(
        ("optimizer", "values", "name"),
        [
            ("Adam(rate)", {"rate": 0.1}, "rate"),
            ("AdamW(1e-3, weight_decay=decay)", {"units": 4, "decay": 0.1}, "decay"),
            (
                "SGD(optimizers.schedules.ExponentialDecay(rate, 10, 0.9))",
                {"units": 4, "rate": 0.1},
                "rate",
            ),
        ],
    )
    def test_an_argument_of_one_that_is_replaced_is_refused(
        self,
        optimizer: str,
        values: dict[str, Any],
        name: str,
        trainer: Trainer,
        own: WriteFactory,
    ) -> None:
        spec = own(self.FACTORY.format(optimizer), model={"units": 8, "rate": 1e-3, "decay": 0.0})
        with pytest.raises(RequestError, match=f"{name}: sets the optimizer with which .*'own'"):
            trainer.check(spec, other_values=values)
        kept = {**spec, "train": {**spec["train"], "optimizer": "own"}}
        assert trainer.check(kept, other_values=values)["warnings"] == []
        checked = trainer.check(spec, other_values={"units": 4})
        assert (checked["warnings"], checked["replaced_optimizer"]) == ([], optimizer.split("(")[0])
        assert trainer.check(kept)["replaced_optimizer"] == ""

    def test_an_argument_that_sets_the_network_too_passes(
        self, trainer: Trainer, own: WriteFactory
    ) -> None:
        model = {"units": 8, "rate": 1e-3, "decay": 0.0}
        spec = own(self.FACTORY.format("Adam(0.1 / units)"), model=model)
        checked = trainer.check(spec, other_values={"units": 4})
        assert (checked["warnings"], checked["replaced_optimizer"]) == ([], "Adam")

    TWO = (
        HEAD + "class Net(keras.Sequential):\n"
        "    def compile(self, mine=None, **settings):\n        super().compile(**settings)\n"
        "        self.mine = mine or self.optimizer\n"
        "    def train_step(self, data):\n        import tensorflow as tf\n        x, y = data\n"
        "        with tf.GradientTape() as tape:\n            logits = self(x, training=True)\n"
        "            loss = self.compute_loss(x=x, y=y, y_pred=logits)\n"
        "        weights = self.trainable_variables\n"
        "        self.{}.apply(tape.gradient(loss, weights), weights)\n"
        "        return self.compute_metrics(x, y, logits)\n"
        "def build(input_shape, classes):\n"
        "    model = Net([keras.Input(input_shape), layers.Flatten(), layers.Dense(classes)])\n"
        "    model.compile(mine=optimizers.SGD(), optimizer='adam', loss=CROSS_ENTROPY)\n"
        "    return model\n"
    )

    @pytest.mark.skipif(keras.backend.backend() == "jax", reason="a train_step of TensorFlow")
    @pytest.mark.parametrize("used", ["mine", "optimizer"])
    def test_one_that_no_step_uses_is_said(
        self, used: str, trainer: Trainer, own: WriteFactory
    ) -> None:
        spec = own(self.TWO.format(used))
        found = warnings_but_loading(trainer, spec)
        unused = "is trained without the optimizer of [train]"
        assert [unused in line for line in found] == [True] * (used == "mine")
        kept = {**spec, "train": {**spec["train"], "optimizer": "own"}}
        assert warnings_but_loading(trainer, kept) == []

    AVERAGED = (
        HEAD + "def build(input_shape, classes, use_ema=True):\n"
        "    model = dense(input_shape, layers.Dense(classes))\n"
        "    model.compile(optimizers.Adam(0.05, use_ema=use_ema, ema_overwrite_frequency={}), "
        "CROSS_ENTROPY, metrics=['accuracy'], run_eagerly={})\n    return model\n"
    )

    @pytest.mark.parametrize("eagerly", [False, True])
    def test_an_average_of_weights_does_not_replace_them_after_each_epoch(
        self, eagerly: bool, trainer: Trainer, own: WriteFactory
    ) -> None:
        def train(use_ema: bool) -> list[Any]:
            settings = {"model": {"use_ema": use_ema}, "train": {"optimizer": "own", "epochs": 3}}
            trainer.begin(own(self.AVERAGED.format(None, eagerly), **settings))
            return [trainer.epoch()["metrics"] for _ in range(3)]

        averaged, plain = train(use_ema=True), train(use_ema=False)
        for one, other in zip(averaged, plain, strict=True):
            assert one == pytest.approx(other, rel=1e-5)

    @pytest.mark.parametrize(("frequency", "is_said"), [(None, True), (2, False)])
    def test_an_average_that_only_the_end_of_fit_uses_is_said(
        self, frequency: int | None, is_said: bool, trainer: Trainer, own: WriteFactory
    ) -> None:
        spec = own(self.AVERAGED.format(frequency, False), train={"optimizer": "own"})
        assert ["averages the weights" in line for line in warnings_but_loading(trainer, spec)] == (
            [True] * is_said
        )


class TestIdsOfTheData:
    """A model may know the numbers of the data only: identifiers that do not count from 0."""

    IDS = 5_000_000

    def write(self, folder: Path, first: int, is_centred: bool) -> Path:
        numbers = np.random.default_rng(0).integers(0, 40, (150, 6))
        stored = numbers if is_centred else numbers + first
        largest = float(stored.max())
        scales = {
            "unit": {"factor": [1 / largest], "offset": [0.0]},
            "none": {"factor": [1.0], "offset": [float(first) if is_centred else 0.0]},
        }
        write_folder(folder, input_shape=[6], scales=scales)
        for split, count in (("train", 150), ("validation", 40)):
            np.save(folder / f"x_{split}.npy", stored[:count].astype(np.float32))
        return folder

    @pytest.mark.parametrize("is_centred", [True, False])
    @pytest.mark.parametrize(
        "table",
        [
            "layers.Embedding(40, 4)(ops.cast(x - {first}, 'int32'))",
            "ops.one_hot(ops.cast(x - {first}, 'int32'), 40)",
            "ops.floor(x) - {first}",
        ],
    )
    def test_they_are_recognised(
        self, table: str, is_centred: bool, trainer: Trainer, own: WriteFactory, tmp_path: Path
    ) -> None:
        first = self.IDS if is_centred else 1000
        source = BUILD + (
            "    x = keras.Input(input_shape)\n"
            f"    found = {table.format(first=first)}\n"
            "    return keras.Model(x, layers.Dense(classes)(layers.Flatten()(found)))\n"
        )
        data = self.write(tmp_path / "ids", first, is_centred)
        checked = trainer.check(own(source, data=data))
        assert checked["uses_indices"], checked["warnings"]
        assert checked["warnings"] == []

    def test_numbers_of_that_size_are_scaled(
        self, trainer: Trainer, own: WriteFactory, tmp_path: Path
    ) -> None:
        data = self.write(tmp_path / "numbers", self.IDS, is_centred=True)
        checked = trainer.check(own(compiled("'adam', CROSS_ENTROPY"), data=data))
        assert not checked["uses_indices"]
        assert checked["warnings"] == []


SAMPLING = """
@keras.saving.register_keras_serializable()
class Sampling(layers.Layer):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.random = keras.random.SeedGenerator(1)

    def call(self, x):
        return x + keras.random.normal(ops.shape(x), seed=self.random)

"""


def test_random_outputs_are_not_compared_with_those_of_the_kept_model(
    trainer: Trainer, own: WriteFactory
) -> None:
    source = (
        HEAD + SAMPLING + "def build(input_shape, classes):\n"
        "    return dense(input_shape, layers.Dense(8), Sampling(), layers.Dense(classes))\n"
    )
    assert trainer.check(own(source))["warnings"] == []


def test_a_loss_that_cannot_be_restored_is_said_with_the_way_to_load(
    trainer: Trainer, own: WriteFactory
) -> None:
    source = HEAD + (
        "def focal(gamma):\n    def loss(y, logits):\n"
        "        return losses.sparse_categorical_crossentropy(y, logits, True) ** gamma\n"
        "    return loss\n"
        "def build(input_shape, classes):\n"
        "    model = dense(input_shape, layers.Dense(classes))\n"
        "    model.compile('adam', focal(1.0))\n    return model\n"
    )
    [warning] = trainer.check(own(source))["warnings"]
    assert "can't be loaded again" in warning
    assert "load it with compile=False" in warning
