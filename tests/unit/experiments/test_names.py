"""Names of hyperparameters that [train], [data] and a user's own factory may share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from assay.experiments.config.experiment import Experiment, read_experiment
from assay.experiments.config.request import load_experiment, read_sweep
from assay.experiments.data.settings import DataSettings
from assay.models.architectures.registry import FAMILIES
from assay.models.errors import RequestError
from assay.models.training.config import TrainSettings

Write = Callable[..., Path]
SHARED = ("epsilon", "weight_decay", "flip", "shift", "momentum", "learning_rate", "epochs")
CHOICES: Mapping[str, list[Any]] = {
    "epsilon": [0.25, 0.5],
    "weight_decay": [0.1, 0.2],
    "flip": [True, False],
    "shift": [1, 2],
    "momentum": [0.3, 0.4],
    "learning_rate": [0.1, 0.2],
    "epochs": [3, 4],
}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes an experiment with a user-defined factory, or a family."""

    def write(tables: str, model: str = "", family: str = "nets.py:build", data: str = "") -> Path:
        (tmp_path / "nets.py").write_text("def build(input_shape, classes): ...\n")
        (tmp_path / "mine.toml").write_text(
            f'title = "t"\n[data]\nname = "digits"\n{data}\n'
            f'[model]\nfamily = "{family}"\n{model}\n{tables}'
        )
        return tmp_path / "mine.toml"

    return write


@pytest.fixture
def read(write: Write) -> Callable[..., Experiment]:
    def read(*args: str, **kwargs: str) -> Experiment:
        return read_experiment(write(*args, **kwargs))

    return read


Read = Callable[..., Experiment]


def values(experiment: Experiment, searched: Mapping[str, Any]) -> tuple[Any, TrainSettings]:
    """Return the factory's arguments, and the settings of [train]."""
    model, train = experiment.build_settings(searched)
    return model.model_dump(), train


def test_no_built_in_family_shares_a_name_with_another_table() -> None:
    tables = [TrainSettings.model_fields, DataSettings.model_fields]
    for family in FAMILIES.values():
        for one, other in ((0, 1), (0, 2), (1, 2)):
            each = [*tables, family.settings.model_fields]
            assert not set(each[one]) & set(each[other])


class TestTables:
    @pytest.mark.parametrize("quoted", [True, False])
    @pytest.mark.parametrize("name", SHARED)
    def test_a_name_of_the_model_reaches_the_factory_alone(
        self, read: Read, name: str, quoted: bool
    ) -> None:
        key = f'"model.{name}"' if quoted else f"model.{name}"
        experiment = read(f"[space]\n{key} = {json.dumps(CHOICES[name])}\n")
        chosen = CHOICES[name][1]
        model, train = values(experiment, {f"model.{name}": chosen})
        assert model == {name: chosen}
        assert getattr(train, name) == TrainSettings.model_fields[name].default
        assert list(experiment.space) == [f"model.{name}"]
        assert experiment.unqualified_train_names == ()
        recorded = experiment.hyperparameters({f"model.{name}": chosen})
        assert recorded[f"model.{name}"] == chosen
        assert recorded.get(f"train.{name}") == TrainSettings.model_fields[name].default
        assert name not in recorded

    @pytest.mark.parametrize("quoted", [True, False])
    @pytest.mark.parametrize("name", ["epsilon", "weight_decay", "flip", "learning_rate", "epochs"])
    def test_a_name_of_train_reaches_the_training_alone(
        self, read: Read, name: str, quoted: bool
    ) -> None:
        key = f'"train.{name}"' if quoted else f"train.{name}"
        experiment = read(f"[space]\n{key} = {json.dumps(CHOICES[name])}\n")
        chosen = CHOICES[name][1]
        model, train = values(experiment, {f"train.{name}": chosen})
        assert (model, getattr(train, name)) == ({}, chosen)
        assert experiment.unqualified_train_names == ()
        recorded = experiment.hyperparameters({f"train.{name}": chosen})
        assert (recorded[f"train.{name}"], name in recorded) == (chosen, False)

    def test_both_can_be_searched(self, read: Read) -> None:
        experiment = read("[space]\nmodel.epsilon = [0.25, 0.5]\ntrain.epsilon = [1e-7, 1e-6]\n")
        searched = {"model.epsilon": 0.5, "train.epsilon": 1e-6}
        model, train = values(experiment, searched)
        assert (model, train.epsilon) == ({"epsilon": 0.5}, 1e-6)
        recorded = experiment.hyperparameters(searched)
        assert searched.items() <= recorded.items()
        assert not searched.keys() & experiment.fixed_hyperparameters().keys()

    def test_a_fixed_value_of_the_model_is_not_recorded_as_that_of_train(self, read: Read) -> None:
        experiment = read("[train]\nepsilon = 1e-6\n", model="epsilon = 0.25\nepochs = 3\n")
        recorded = experiment.hyperparameters({})
        assert (recorded["model.epsilon"], recorded["train.epsilon"]) == (0.25, 1e-6)
        assert (recorded["model.epochs"], recorded["train.epochs"]) == (3, 10)
        assert not {"epsilon", "epochs"} & recorded.keys()

    def test_names_that_are_not_shared_are_recorded_as_before(self, read: Read) -> None:
        experiment = read(
            "[train]\nepsilon = 1e-6\n[space]\nwidth = [1, 2]\nbatch_size = [8, 16]\n"
        )
        recorded = experiment.hyperparameters({"width": 2, "batch_size": 8})
        assert (recorded["width"], recorded["batch_size"], recorded["epsilon"]) == (2, 8, 1e-6)
        assert not any("." in name for name in recorded)

    def test_the_tables_of_searched_and_fixed_names(self, read: Read) -> None:
        experiment = read(
            "[train]\nepochs = 2\n"
            "[space]\nmodel.epsilon = [0.1, 0.2]\nlearning_rate = [0.1, 0.2]\n",
            model="width = 3",
        )
        assert experiment.names_by_table() == {
            "model": ("epsilon", "width"),
            "train": ("learning_rate", "epochs"),
        }

    @pytest.mark.parametrize("table", ["model", "train"])
    def test_a_table_takes_its_own_qualified_names(self, read: Read, table: str) -> None:
        lines = f'"{table}.epsilon" = 0.25\n{table}.epochs = 3\n'
        experiment = read(model=lines, tables="") if table == "model" else read(f"[train]\n{lines}")
        model, train = values(experiment, {})
        received = model if table == "model" else train.model_dump()
        assert (received["epsilon"], received["epochs"]) == (0.25, 3)

    def test_a_range_called_model_stays_a_range(self, read: Read) -> None:
        experiment = read(
            "[space]\n"
            "model = { low = 1, high = 3 }\n"
            "train = { choices = [1, 2], when = { model = { low = 2 } } }\n"
        )
        assert experiment.space.to_records() == {
            "model": "1 to 3",
            "train": "[1, 2], when model >= 2",
        }


class TestBuiltInFamilies:
    @pytest.mark.parametrize(
        ("written", "plain"),
        [("model.hidden_units", "hidden_units"), ("train.batch_size", "batch_size")],
    )
    def test_a_qualified_name_is_the_plain_one(self, read: Read, written: str, plain: str) -> None:
        tables = '[space]\n"{0}" = [8, 16]\n[[baseline]]\n"{0}" = 16\n'
        experiment = read(tables.format(written), family="mlp")
        assert experiment.space.to_records() == {plain: "[8, 16]"}
        assert experiment.baseline_configurations() == [{plain: 16}]
        assert experiment.check_configuration({written: 8}, "") == {plain: 8}
        fixed = experiment.with_fixed({written: 8})
        assert fixed.fixed_hyperparameters()[plain] == 8
        assert not any("." in name for name in fixed.fixed_hyperparameters())
        assert experiment.unqualified_train_names == ()

    @pytest.mark.parametrize(
        ("tables", "words"),
        [
            ("[space]\nmodel.epsilon = [0.1]\n", r"\[model\] does not know 'epsilon'"),
            ("[space]\ntrain.hiden = [1]\n", r"\[train\] does not know 'hiden'"),
            ("[space]\ntrain.epocs = [1]\n", "Did you mean 'epochs'"),
            ('[space]\n"data.noise" = [0.1]\n', "are not searched"),
            ('[space]\nepochs = [1]\n"train.epochs" = [2]\n', "is the same as epochs"),
            ("[space]\nepochs = [1]\n[train]\ntrain.epochs = 2\n", "searched and fixed at once"),
            ('[train]\nepochs = 1\n"train.epochs" = 2\n', "given twice"),
            ('[train]\n"model.hidden_units" = 2\n', r"belongs to \[model\]; write it there"),
        ],
    )
    def test_a_wrong_name_is_refused(self, read: Read, tables: str, words: str) -> None:
        with pytest.raises(RequestError, match=words):
            read(tables, family="mlp")


SEARCHES_BOTH = """
[space]
"model.epsilon" = [0.25, 0.5]
train.epsilon = [1e-7, 1e-6]
width = [1, 2]
[[baseline]]
model.epsilon = 0.5
"train.epsilon" = 1e-6
"model.width" = 2
"""
FULL = {"model.epsilon": 0.5, "train.epsilon": 1e-6, "width": 2}


class TestConfigurations:
    def test_baselines_may_be_nested_or_quoted(self, read: Read) -> None:
        assert read(SEARCHES_BOTH).baseline_configurations() == [FULL]

    def test_enqueued_configurations_may_be_nested_or_quoted(
        self, write: Write, tmp_path: Path
    ) -> None:
        items = [FULL, {"model": {"epsilon": 0.5, "width": 2}, "train": {"epsilon": 1e-6}}]
        (tmp_path / "list.json").write_text(json.dumps(items))
        for enqueue in (items, tmp_path / "list.json"):
            _, request, _ = read_sweep(write(SEARCHES_BOTH), {"enqueue": enqueue})
            assert list(request.enqueued) == [FULL, FULL]

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"momentum": 0.1}, "does not search 'momentum'"),
            ({"width": 1, "model.width": 2}, "is given twice"),
            ({"train.width": 1}, r"\[train\] does not know 'width'"),
        ],
    )
    def test_other_names_are_refused(
        self, read: Read, given: Mapping[str, Any], words: str
    ) -> None:
        with pytest.raises(RequestError, match=words):
            read(SEARCHES_BOTH).check_configuration(given, "list")

    def test_a_plain_name_of_train_does_not_stand_for_the_models(self, read: Read) -> None:
        experiment = read("[space]\nmodel.epsilon = [0.25, 0.5]\n")
        with pytest.raises(RequestError, match=r"\[space\] searches model.epsilon; write that"):
            experiment.check_configuration({"epsilon": 0.25}, "list")


class TestConditions:
    @pytest.mark.parametrize(
        "when",
        ['{ "train.optimizer" = "momentum" }', '{ train = { optimizer = "momentum" } }'],
    )
    @pytest.mark.parametrize("parent", ["optimizer", "train.optimizer"])
    def test_a_condition_means_the_parameter_whatever_its_spelling(
        self, read: Read, when: str, parent: str
    ) -> None:
        experiment = read(
            f'[space]\n"{parent}" = ["adam", "momentum"]\n'
            f"momentum = {{ choices = [0.3, 0.4], when = {when} }}\n"
        )
        record = experiment.space.to_records()["momentum"]
        assert record == f"[0.3, 0.4], when {parent} = 'momentum'"

    def test_a_condition_tells_a_fixed_value_of_the_model_from_that_of_train(
        self, read: Read
    ) -> None:
        condition = "[space]\nwidth = {{ choices = [1, 2], when = {{ {0} = 3 }} }}\n"
        for name, exists in (("model.epochs", True), ("train.epochs", False)):
            experiment = read(condition.format(name), model="epochs = 3")
            assert ("width" in experiment.space) is exists

    def test_a_plain_name_that_both_have_is_refused(self, read: Read) -> None:
        for tables in (
            "[space]\nwidth = { choices = [1, 2], when = { epochs = 3 } }\n",
            "[space]\nepochs = [3, 4]\n",
        ):
            with pytest.raises(RequestError, match=r"write train\.epochs or model\.epochs"):
                read(tables, model="epochs = 3")
        with pytest.raises(RequestError, match=r"write train\.epsilon or model\.epsilon"):
            read("[space]\nepsilon = [0.1]\nmodel.epsilon = [0.1]\n")


class TestSet:
    @pytest.mark.parametrize(
        "given",
        [
            {"model.epsilon": 0.25, "train.epsilon": 1e-6},
            {"model": {"epsilon": 0.25}, "train": {"epsilon": 1e-6}},
        ],
    )
    @pytest.mark.parametrize("tables", ["", SEARCHES_BOTH, "[space]\nepsilon = [0.1, 0.2]\n"])
    def test_qualified_names_reach_their_tables(
        self, read: Read, tables: str, given: Mapping[str, Any]
    ) -> None:
        experiment = read(tables).with_fixed(given)
        model, train = values(experiment, {})
        assert (model["epsilon"], train.epsilon) == (0.25, 1e-6)
        assert not [name for name in experiment.space if name.endswith("epsilon")]
        recorded = experiment.fixed_hyperparameters()
        assert (recorded["model.epsilon"], recorded["train.epsilon"]) == (0.25, 1e-6)
        assert experiment.unqualified_train_names == ()

    def test_a_name_of_train_alone_is_recorded_as_it_was_written(self, read: Read) -> None:
        assert (
            read("").with_fixed({"train.epsilon": 0.1}).hyperparameters({})["train.epsilon"] == 0.1
        )
        assert read("").with_fixed({"epsilon": 0.1}).hyperparameters({})["epsilon"] == 0.1

    def test_a_name_fixes_the_searched_one_whatever_its_spelling(self, read: Read) -> None:
        experiment = read('[space]\n"model.width" = [1, 2]\ndepth = [1, 2]\n')
        fixed = experiment.with_fixed({"width": 3, "model.depth": 4})
        assert values(fixed, {})[0] == {"width": 3, "depth": 4}
        assert not fixed.space

    def test_a_conditional_parameter_keeps_its_condition(self, read: Read) -> None:
        experiment = read(
            '[space]\n"train.optimizer" = ["adam", "momentum"]\n"train.momentum" = '
            '{ low = 0.1, high = 0.9, when = { train.optimizer = "momentum" } }\n'
        ).with_fixed({"train.momentum": 0})
        record = experiment.space.to_records()["train.momentum"]
        assert record == "[0.0], when train.optimizer = 'momentum'"

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"epsilon": 0.1, "train.epsilon": 0.2}, "is the same as epsilon; remove one"),
            ({"epsilon": 0.1, "model.epsilon": 0.2}, r"write .*model\.epsilon"),
            ({"momentum": 0.5}, r"write train\.momentum or model\.momentum|both have it"),
            ({"train.width": 0.5}, r"\[train\] does not know 'width'"),
            ({"data.epochs": 5}, r"\[data\] does not know 'epochs'"),
            ({"data.name": "mnist"}, r"\[data\] does not know 'name'"),
            ({"validation": 5}, r"write model\.validation or data\.validation"),
        ],
    )
    def test_an_ambiguous_or_unknown_name_is_refused(
        self, read: Read, given: Mapping[str, Any], words: str
    ) -> None:
        experiment = read("", model="momentum = 0.5\nvalidation = 3")
        with pytest.raises(RequestError, match=words):
            experiment.with_fixed(given)

    def test_epochs_are_those_of_train(self, write: Write) -> None:
        for tables in ("", "[space]\nepochs = [2, 3]\n", "[space]\ntrain.epochs = [2, 3]\n"):
            experiment = load_experiment(write(tables), {}, epochs=7)
            assert values(experiment, {})[1].epochs == 7
            assert "epochs" not in experiment.unqualified_train_names
        both = load_experiment(write("", model="epochs = 3"), {}, epochs=7)
        model, train = values(both, {})
        assert (model["epochs"], train.epochs) == (3, 7)
        assert load_experiment(write(""), {}, epochs=7).fixed_hyperparameters()["epochs"] == 7

    def test_data_settings_can_be_named(self, read: Read) -> None:
        experiment = read("").with_fixed({"data.validation": 50, "model.seed": 3})
        assert experiment.data.validation == 50
        assert values(experiment, {})[0] == {"seed": 3}
        assert experiment.unqualified_data_names == ()
        assert read("").with_fixed({"validation": 50}).unqualified_data_names == ("validation",)
        # digits takes no seed, so the name can only be the factory's
        assert read("").with_fixed({"seed": 3}).unqualified_data_names == ()


class TestUnqualifiedNames:
    def test_names_that_went_to_train_without_saying_so(self, read: Read) -> None:
        experiment = read(
            "[train]\nlearning_rate = 0.1\n[space]\nepsilon = [0.1, 0.2]\ntrain.rho = [0.1, 0.2]\n"
            'width = { choices = [1, 2], when = { epochs = 10, "train.optimizer" = "rmsprop" } }\n'
            '[train.train]\noptimizer = "rmsprop"\n'
        ).with_fixed({"batch_size": 16, "train.flip": False, "depth": 2})
        assert experiment.unqualified_train_names == ("epsilon", "epochs", "batch_size")

    def test_a_name_that_is_set_by_its_full_name_is_none_of_them(self, read: Read) -> None:
        experiment = read("[space]\nepsilon = [0.1, 0.2]\n")
        assert experiment.unqualified_train_names == ("epsilon",)
        assert experiment.with_fixed({"train.epsilon": 0.1}).unqualified_train_names == ()
        assert experiment.with_fixed({"epsilon": 0.1}).unqualified_train_names == ("epsilon",)


OWN = '[train]\noptimizer = "own"\n[space]\nwidth = [1, 2]\n'


def test_settings_of_an_optimizer_that_is_not_ours_are_not_recorded(read: Read) -> None:
    own, ours = (
        read(text).hyperparameters({"width": 1}) for text in (OWN, OWN.replace("own", "sgd"))
    )
    assert not {"learning_rate", "schedule", "warmup_epochs"} & own.keys()
    assert {"epochs", "batch_size", "optimizer", "loss", "width", "flip", "shift"} <= own.keys()
    assert {"learning_rate", "schedule", "warmup_epochs"} <= ours.keys()
