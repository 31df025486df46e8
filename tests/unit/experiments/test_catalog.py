"""The catalogue: every experiment is valid and documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.experiments.config.catalog import list_catalog, resolve_experiment
from assay.experiments.config.experiment import Experiment
from assay.models.errors import RequestError

EXPECTED = {
    "digits-mlp",
    "mnist-mlp",
    "mnist-linear",
    "mnist-cnn",
    "fashion-mnist-mlp",
    "cifar10-linear",
    "cifar10-mlp",
    "cifar10-cnn",
    "cifar10-resnet",
}


def test_the_catalogue_is_complete() -> None:
    assert set(list_catalog()) == EXPECTED


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_experiment_states_source_cost_and_expected_result(name: str) -> None:
    experiment = resolve_experiment(name)
    assert experiment.title
    assert experiment.source
    assert experiment.cost
    assert experiment.expect
    assert experiment.baselines
    assert set(experiment.baselines[0]) == set(experiment.space)


def test_the_lectures_own_configuration_is_the_baseline_of_mnist_mlp() -> None:
    """OSU ECE 5307 Unit 8, 'Application to MNIST'."""
    experiment = resolve_experiment("mnist-mlp")
    values = experiment.hyperparameters(experiment.default_configuration())
    assert (values["hidden_units"], values["activation"]) == (100, "sigmoid")
    assert (values["optimizer"], values["learning_rate"], values["loss"]) == (
        "adam",
        1e-3,
        "cross_entropy",
    )
    assert (experiment.data.name, experiment.data.validation) == ("mnist", 10000)


def test_a_user_defined_file_works_from_any_folder(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('title = "mine"\n[data]\nname = "digits"\n[model]\nfamily = "linear"\n')
    experiment = resolve_experiment(str(mine))
    assert (experiment.name, experiment.family.name) == ("mine", "linear")
    assert experiment.default_configuration() == {}


class TestFixing:
    @pytest.fixture
    def experiment(self) -> Experiment:
        return resolve_experiment("mnist-mlp")

    def test_fixing_a_searched_name_removes_it_from_space_and_baseline(
        self, experiment: Experiment
    ) -> None:
        fixed = experiment.with_fixed({"hidden_units": 64})
        assert "hidden_units" not in fixed.space
        assert fixed.hyperparameters(fixed.default_configuration())["hidden_units"] == 64

    @pytest.mark.parametrize(
        ("name", "value"),
        [("optimizer", "sgd"), ("dropout", 0.2), ("epochs", 3), ("scale", "standard")],
    )
    def test_fixing_any_other_name_sets_its_value(
        self, experiment: Experiment, name: str, value: object
    ) -> None:
        assert experiment.with_fixed({name: value}).hyperparameters({})[name] == value

    def test_fixing_does_not_change_the_experiment(self, experiment: Experiment) -> None:
        experiment.with_fixed({"hidden_units": 64})
        assert "hidden_units" in experiment.space


def test_searched_values_go_to_the_training_or_to_the_model() -> None:
    model, train = resolve_experiment("mnist-mlp").build_settings(
        {"hidden_units": 7, "batch_size": 64}
    )
    assert (model.model_dump()["hidden_units"], train.batch_size) == (7, 64)


CONDITIONS = """
title = "conditions"
[data]
name = "digits"
[model]
family = "mlp"
[train]
warmup_epochs = 12
[space]
epochs = [20, 40]
optimizer = ["sgd", "momentum"]
momentum = { low = 0.5, high = 0.9, when = { optimizer = "momentum" } }
[[baseline]]
optimizer = "momentum"
momentum = 0.9
"""


class TestConditions:
    @pytest.fixture
    def experiment(self, tmp_path: Path) -> Experiment:
        (tmp_path / "mine.toml").write_text(CONDITIONS)
        return resolve_experiment(str(tmp_path / "mine.toml"))

    def test_fixed_values_only_have_to_fit_the_searched_values(
        self, experiment: Experiment
    ) -> None:
        assert experiment.build_settings({"epochs": 20})[1].warmup_epochs == 12

    def test_fixing_a_parent_removes_its_conditional_parameters(
        self, experiment: Experiment
    ) -> None:
        fixed = experiment.with_fixed({"optimizer": "sgd"})
        assert list(fixed.space) == ["epochs"]
        assert fixed.baselines == ()

    def test_a_conditional_parameter_can_be_fixed_where_it_exists(
        self, experiment: Experiment
    ) -> None:
        fixed = experiment.with_fixed({"momentum": 0.7})
        assert fixed.space.to_records()["momentum"] == "[0.7], when optimizer = 'momentum'"
        assert fixed.baselines == ({"optimizer": "momentum"},)
        both = experiment.with_fixed({"momentum": 0.7, "optimizer": "momentum"})
        assert list(both.space) == ["epochs"]
        assert both.hyperparameters({"epochs": 20})["momentum"] == 0.7
        with pytest.raises(RequestError, match="momentum is a setting of the optimizer 'momentum'"):
            experiment.with_fixed({"momentum": 0.7, "optimizer": "sgd"})

    def test_a_condition_uses_the_default_loss_of_the_task(self, tmp_path: Path) -> None:
        text = CONDITIONS.replace('"digits"', '"sine"').replace(
            "[data]", 'task = "regression"\n[data]'
        )
        text = text.replace(
            '{ optimizer = "momentum" }', '{ optimizer = "momentum", loss = "squared_error" }'
        )
        (tmp_path / "mine.toml").write_text(text)
        assert "momentum" in resolve_experiment(str(tmp_path / "mine.toml")).space
