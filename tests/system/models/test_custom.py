"""User-defined factories: lookup, checks, training and attribution of errors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import pytest

from assay.models.architectures.registry import get_family
from assay.models.backends.keras_fit import FallbackDataset, KerasFitDataset
from assay.models.data import DataShape, TrainingData
from assay.models.errors import RequestError
from assay.models.recipe import Recipe
from assay.models.training.config import TrainSettings
from assay.models.training.epoch import InputConfig, TrainEpoch
from assay.models.worker.trainer import Trainer
from assay.search.workers.worker import answer_call
from tests.helpers import nets
from tests.helpers.prepared_data import assign, write_rows
from tests.system.models.conftest import WriteFactory

HEAD = "import keras\n\ndef build(input_shape, classes, width=3):\n"
FLAT = "keras.Sequential([keras.layers.Flatten(), keras.layers.Dense({})])"
GOOD = HEAD + f"    return {FLAT.format('classes')}\n"
COMPILED = (
    HEAD
    + f"    model = {FLAT.format('classes')}\n    model.compile('sgd', {{}}, metrics=[{{}}])\n    return model\n"
)
EACH = """import keras

loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

class Each(keras.metrics.Metric):
    def update_state(self, *_, **__): ...
    def result(self):
        return keras.ops.zeros(3)

"""
NET = """
import keras

class Net(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.out = keras.layers.Dense(classes)
        self.calls = 0

    def call(self, x):
        {}
        return self.out(self.flatten(x))

    {}

def build(input_shape, classes):
    return Net(classes)
"""
ON_JAX = keras.backend.backend() == "jax"
GIVEN = "state, data" if ON_JAX else "data"
"""Arguments of a Keras train step besides `self`."""
SEEN = "({'seen': 1.0}, state)" if ON_JAX else "{'seen': 1.0}"

OWN_STEP = f"""def train_step(self, {GIVEN}):
        done = super().train_step({GIVEN})
        return {"({**done[0], 'seen': 1.0}, done[1])" if ON_JAX else "{**done, 'seen': 1.0}"}"""


def train(trainer: Trainer, spec: dict[str, Any]) -> list[dict[str, float]]:
    trainer.begin(spec)
    return [trainer.epoch()["metrics"] for _ in range(spec["train"]["epochs"])]


class TestTraining:
    @pytest.mark.parametrize("factory", nets.FACTORIES)
    def test_check_train_and_save(
        self, factory: str, trainer: Trainer, folder: Path, own_nets: Path, tmp_path: Path
    ) -> None:
        spec = assign(folder, f"nets.py:{factory}", folders=[own_nets])
        checked = trainer.check(spec)
        assert sorted(checked["metrics"]) == ["accuracy", "loss", "val_accuracy", "val_loss"]
        begun = trainer.begin(spec)
        assert begun == {"parameters": checked["parameters"]}
        epochs = [trainer.epoch()["metrics"] for _ in range(2)]
        assert set(epochs[-1]) == set(checked["metrics"])
        assert "unsaved" not in trainer.finish(str(tmp_path / "model.keras"))
        assert (tmp_path / "model.keras").is_file()

    def test_hyperparameters_reach_the_factory(
        self, trainer: Trainer, folder: Path, own_nets: Path
    ) -> None:
        spec = assign(folder, "nets.py:functional", folders=[own_nets], model={"hidden_units": 5})
        assert trainer.begin(spec)["parameters"] == 64 * 5 + 5 + 5 * 3 + 3

    def test_a_regression_asks_for_outputs(
        self, trainer: Trainer, own_nets: Path, tmp_path: Path
    ) -> None:
        spec = assign(
            write_rows(tmp_path / "rows"),
            "nets.py:regression",
            folders=[own_nets],
            task="regression",
            scale="none",
        )
        assert trainer.check(spec)["parameters"] == 5 * 2 + 2
        assert set(train(trainer, spec)[0]) == {"loss", "mae", "val_loss", "val_mae"}

    def test_a_check_leaves_nothing_behind(
        self, trainer: Trainer, folder: Path, own_nets: Path
    ) -> None:
        spec = assign(folder, "nets.py:subclassed", folders=[own_nets])
        undisturbed = train(trainer, spec)
        trainer.check(spec)
        with pytest.raises(RuntimeError, match="no trial is under way"):
            trainer.epoch()
        assert train(trainer, spec) == undisturbed

    def test_a_built_in_family_can_be_checked_too(self, trainer: Trainer, folder: Path) -> None:
        checked = trainer.check(
            assign(folder, "mlp", model={"hidden_units": 4}, train={"loss": "hinge"})
        )
        assert checked["parameters"] == 64 * 4 + 4 + 4 * 3 + 3


class TestImporting:
    def test_neighbouring_modules_are_found_after_all_others(
        self, trainer: Trainer, own: WriteFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "own_neighbour.py").write_text(GOOD)
        for name in ("search", "colorsys"):
            (tmp_path / f"{name}.py").write_text(
                "raise RuntimeError('imported in place of the real one')"
            )
        monkeypatch.delitem(sys.modules, "colorsys", raising=False)
        spec = own("import colorsys, assay.models.seeding\nfrom own_neighbour import build\n")
        assert trainer.check(spec)["parameters"] == 64 * 3 + 3
        assert trainer.check({**spec, "family": "own_neighbour:build"})["parameters"] == 64 * 3 + 3

    @pytest.mark.parametrize("name", ["models.py", "search.py", "random.py"])
    def test_a_file_of_any_name_hides_no_other(
        self, trainer: Trainer, folder: Path, tmp_path: Path, name: str
    ) -> None:
        (tmp_path / name).write_text(GOOD)
        module = sys.modules.get(name.removesuffix(".py"))
        assert (
            trainer.check(assign(folder, f"{name}:build", folders=[tmp_path]))["parameters"]
            == 64 * 3 + 3
        )
        assert sys.modules.get(name.removesuffix(".py")) is module


class TestCompiled:
    def test_loss_and_metrics_are_kept_and_the_optimizer_is_replaced(
        self, data: TrainingData, own_nets: Path
    ) -> None:
        family = get_family("nets.py:compiled", [str(own_nets)])
        recipe = Recipe(
            family, family.settings(), TrainSettings(optimizer="momentum", learning_rate=0.25)
        )
        described = recipe.describe(data.input_shape, 3)
        loss = described.loss
        model = recipe.compile(described)
        assert model.loss is loss
        assert (float(model.optimizer.learning_rate), model.optimizer.momentum) == (0.25, 0.9)

    def test_its_optimizer_is_kept_on_request(self, data: TrainingData, own_nets: Path) -> None:
        family = get_family("nets.py:compiled", [str(own_nets)])
        recipe = Recipe(family, family.settings(), TrainSettings(optimizer="own"))
        assert (
            float(recipe.compile(recipe.describe(data.input_shape, 3)).optimizer.learning_rate)
            == 0.5
        )

    def test_the_chosen_optimizer_is_used(
        self, trainer: Trainer, folder: Path, own_nets: Path
    ) -> None:
        """Compare SGD(0.5) of the factory, the same SGD of assay, and another."""
        numbers = [
            train(trainer, assign(folder, "nets.py:compiled", folders=[own_nets], train=table))[-1][
                "loss"
            ]
            for table in (
                {"optimizer": "own"},
                {"optimizer": "sgd", "learning_rate": 0.5},
                {"optimizer": "sgd", "learning_rate": 0.1},
            )
        ]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-5)
        assert numbers[0] != pytest.approx(numbers[2], rel=1e-3)

    @pytest.mark.parametrize(
        ("family", "table", "message"),
        [
            (
                "mlp",
                {"optimizer": "own"},
                "'own' needs a user-defined factory that compiles.*received family = 'mlp'",
            ),
            (
                "nets.py:functional",
                {"optimizer": "own"},
                "needs a factory that compiles its model: received one that is",
            ),
            (
                "nets.py:compiled",
                {"optimizer": "own", "learning_rate": 0.1},
                "received learning_rate = 0.1; remove it",
            ),
            (
                "nets.py:compiled",
                {"optimizer": "own", "weight_decay": 0.1},
                "received weight_decay = 0.1; remove it",
            ),
            (
                "nets.py:compiled",
                {"optimizer": "own", "schedule": "cosine"},
                "received schedule = 'cosine'; remove it",
            ),
            (
                "nets.py:compiled",
                {"optimizer": "own", "momentum": 0.5},
                "momentum is a setting of the optimizer",
            ),
            ("nets.py:compiled", {"loss": "hinge"}, "keeps its own loss: received loss = 'hinge'"),
            (
                "nets.py:compiled",
                {"label_smoothing": 0.1},
                "keeps its own loss: received label_smoothing = 0.1",
            ),
        ],
    )
    @pytest.mark.parametrize("method", ["check", "begin"])
    def test_incompatible_settings_are_refused(
        self,
        method: str,
        family: str,
        table: dict[str, Any],
        message: str,
        trainer: Trainer,
        folder: Path,
        own_nets: Path,
    ) -> None:
        with pytest.raises(RequestError, match=message):
            getattr(trainer, method)(assign(folder, family, folders=[own_nets], train=table))


# (id, nets.py, [model], words that the message must contain)
WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    ("a syntax error", "import keras\ndef build(:\n", {}, r"^nets.py, line 2: SyntaxError: invalid syntax"),
    ("an error when imported", "import keras\n\n1 / 0\n", {}, r"^nets.py, line 3: ZeroDivisionError: division by"),
    ("a missing library", "import no_such_thing\n", {}, "^nets.py, line 1: ModuleNotFoundError: No module named 'no_s"),
    ("a script that leaves", "import sys\nsys.exit('done')\n", {}, "^nets.py, line 2: SystemExit: done"),
    ("no such function", "def biuld(): ...\n", {}, "no function 'build' in it; it has biuld. Did you mean 'biuld'"),
    ("nothing in it", "", {}, "no function 'build' in it; it has none at all"),
    ("no function", "build = 3\n", {}, "must name a function; received build = 3"),
    ("an unknown hyperparameter", GOOD, {"widht": 3}, r"\[model\] does not know 'widht': .* takes width. Did you mean"),
    ("a missing one", HEAD.replace("=3", "") + "    ...", {}, r"\[model\] must say 'width': nets.py:build has no"),
    ("no classes", "def build(input_shape): ...", {}, "must take 'classes', which follows from the data: it takes"),
    (
        "an error inside",
        HEAD + "    return inner(width)\n\ndef inner(width):\n    raise ValueError(f'no\\nnet of {width}')\n",
        {"width": 7},
        r"^nets.py, line 7: ValueError: no net of 7$",
    ),
    (
        "an error inside Keras",
        HEAD + "    x = keras.Input(input_shape)\n    return keras.Model(x, keras.layers.Dense(-width)(x))\n",
        {},
        r"^nets.py, line 5: ValueError: .*-3",
    ),
    ("nothing returned", HEAD + "    pass\n", {}, "must return a keras.Model: received None; return the model"),
    ("a layer returned", HEAD + "    return keras.layers.Dense(3)\n", {}, "must return a keras.Model: received <Dense"),
    (
        "too few outputs",
        HEAD + f"    return {FLAT.format('1')}\n",
        {},
        r"must give \(batch, 3\), .*received \(batch, 1\); let it end with keras.layers.Dense\(classes\)",
    ),
    (
        "an image for each",
        HEAD + "    return keras.Sequential([keras.layers.Dense(classes)])\n",
        {},
        r"must give \(batch, 3\).*received \(batch, 8, 8, 3\)",
    ),
    (
        "two outputs",
        HEAD + "    x = keras.Input(input_shape)\n    return keras.Model(x, [x, x])\n",
        {},
        r"must give \(batch, 3\).*received a list",
    ),
    (
        "inputs of another shape",
        HEAD + "    x = keras.Input((5,))\n    return keras.Model(x, keras.layers.Dense(classes)(x))\n",
        {},
        r"^nets.py:build, calling its model on inputs of shape \(batch, 8, 8, 1\): ValueError: .*shape",
    ),
    (
        "a loss that wants other labels",
        COMPILED.format("'binary_crossentropy'", "'accuracy'"),
        {},
        r"nets.py:build, training its model, compiled with loss = 'binary_crossentropy', on labels, whole numbers of "
        r"shape \(batch,\): ValueError",
    ),
    (
        "a metric that is many numbers",
        EACH + COMPILED.format("loss", "Each(name='each')"),
        {},
        "a metric must be one number: received each = array.* of nets.py:build",
    ),
    ("an error in its call", NET.format("raise RuntimeError('no')", ""), {}, "^nets.py, line 12: RuntimeError: no$"),
    (
        "an error in its step",
        NET.format("", f"def train_step(self, {GIVEN}):\n        return {{'loss': self.no_such_thing}}"),
        {},
        "^nets.py, line 16: AttributeError: .*no_such_thing",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "model", "message"), [pytest.param(*case[1:], id=case[0]) for case in WRONG]
)
def test_errors_are_reported_before_a_search(
    source: str, model: dict[str, Any], message: str, trainer: Trainer, own: WriteFactory
) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        trainer.check(own(source, model=model))
    assert "\n" not in str(caught.value)


def test_a_model_that_is_not_new_is_refused(trainer: Trainer, own: WriteFactory) -> None:
    source = f"import keras\nMODEL = {FLAT.format('3')}\ndef build(input_shape, classes):\n    return MODEL\n"
    with pytest.raises(
        RequestError, match="must make a new model each time: received that of an earlier call"
    ):
        trainer.check(own(source))


def test_early_stopping_needs_a_loss(trainer: Trainer, own: WriteFactory) -> None:
    source = NET.format("", f"def test_step(self, {GIVEN}):\n        return {SEEN}")
    assert "val_seen" in trainer.check(own(source))["metrics"]
    with pytest.raises(
        RequestError,
        match=r"early_stopping: needs val_loss: received a model .* val_seen; let its",
    ):
        trainer.check(own(source, train={"early_stopping": 2}))


def test_a_missing_module_is_named(trainer: Trainer, own: WriteFactory, tmp_path: Path) -> None:
    with pytest.raises(
        RequestError, match=rf"there is no module 'no_such', neither installed nor in {tmp_path} or"
    ):
        trainer.check(own("", "no_such.nets:build"))


class TestFailingInASearch:
    def said(self, trainer: Trainer, method: str, **arguments: Any) -> dict[str, Any]:
        """Return the reply that a worker sends."""
        return answer_call(trainer, {"method": method, "arguments": arguments})

    def test_in_the_factory(self, trainer: Trainer, own: WriteFactory) -> None:
        source = HEAD + "    raise ValueError('on purpose')\n"
        reply = self.said(trainer, "begin", spec=own(source))
        assert reply["error"] == "nets.py, line 4: ValueError: on purpose"
        assert reply["request"]
        assert "Traceback" in reply["text"]

    def test_in_an_epoch(self, trainer: Trainer, own: WriteFactory) -> None:
        step = f"""def train_step(self, {GIVEN}):
        self.calls += 1
        if self.calls > 1:
            raise ValueError("on purpose")
        return super().train_step({GIVEN})"""
        eager = NET.format("", step).replace(
            "return Net(classes)", "net = Net(classes)\n    net.run_eagerly = True\n    return net"
        )
        trainer.begin(own(eager))
        reply = self.said(trainer, "epoch")
        assert reply["error"] == "nets.py, line 18: ValueError: on purpose"
        assert reply["request"]

    def test_when_its_model_is_saved(
        self, trainer: Trainer, own: WriteFactory, tmp_path: Path
    ) -> None:
        train(
            trainer,
            own(NET.format("", "def get_config(self):\n        raise KeyError('on purpose')")),
        )
        kept = tmp_path / "kept" / "model.keras"
        kept.parent.mkdir()
        reply = self.said(trainer, "finish", save_as=str(kept))
        assert reply["value"]["unsaved"] == "nets.py, line 16: KeyError: 'on purpose'"
        assert reply["value"]["epoch_seconds"] > 0
        assert list(kept.parent.iterdir()) == []

    def test_other_errors_are_not_attributed_to_the_user(self, trainer: Trainer) -> None:
        assert not self.said(trainer, "epoch")["request"]


class Untraceable:
    """Data of a backend that cannot compile any epoch."""

    shape, takes_any_batch_size = DataShape((8, 8, 1), 3, 150), True

    def compile_epoch(self, model: keras.Model, config: InputConfig) -> TrainEpoch:
        raise TypeError("on purpose\nand more")


class TestSlowModels:
    @pytest.mark.skipif(
        keras.backend.backend() == "torch", reason="there, every epoch is Keras' own fit"
    )
    def test_a_custom_train_step_reports_its_metrics(
        self, trainer: Trainer, own: WriteFactory
    ) -> None:
        spec = own(NET.format("", OWN_STEP))
        begun = trainer.begin(spec)
        assert begun["note"] == (
            "nets.py:build is trained by Keras' fit, which is slower: it defines its own train_step"
        )
        assert trainer.epoch()["metrics"]["seen"] == 1.0
        assert "note" not in trainer.begin(assign(Path(spec["data"]["folder"])))

    def test_a_model_compiled_to_run_eagerly_runs_eagerly(
        self, trainer: Trainer, own: WriteFactory
    ) -> None:
        source = NET.format("" if ON_JAX else "x.numpy()", "").replace(
            "return Net(classes)",
            "net = Net(classes)\n    net.compile('adam', keras.losses.SparseCategoricalCrossentropy(from_logits=True), "
            "metrics=['accuracy'], run_eagerly=True)\n    return net",
        )
        spec = own(source, train={"epochs": 1, "batch_size": 75})
        assert trainer.begin(spec)["note"].endswith("it is compiled to run eagerly")
        assert trainer.epoch()["metrics"]["val_accuracy"] >= 0

    def test_a_model_that_cannot_be_traced_is_trained_by_plain_fit(
        self, data: TrainingData, own_nets: Path
    ) -> None:
        family = get_family("nets.py:subclassed", [str(own_nets)])
        recipe = Recipe(family, family.settings(), TrainSettings(epochs=2))

        def fit(resident: Any) -> list[dict[str, float]]:
            keras.utils.set_random_seed(1)
            return list(
                recipe.fit(recipe.compile(recipe.describe(data.input_shape, 3)), resident, seed=1)
            )

        tolerant = FallbackDataset(Untraceable(), data)
        assert fit(tolerant) == fit(KerasFitDataset(data))
        assert tolerant.note is not None
        assert tolerant.note.endswith("it cannot be traced as a whole (TypeError: on purpose)")
