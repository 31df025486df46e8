"""An experiment: a TOML file, read strictly into one frozen object."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from assay.experiments.data.lookup import check_task
from assay.experiments.data.settings import DataSettings
from assay.models.architectures.precompiled import check_optimizer
from assay.models.architectures.registry import Family, get_family
from assay.models.errors import RequestError
from assay.models.names import check_name, suggestion
from assay.models.settings import Settings
from assay.models.tasks import DEFAULT_LOSS, Task
from assay.models.training.augmentation import check_augmentation
from assay.models.training.config import TrainSettings
from assay.models.training.metrics import metric_names
from assay.search.objective import COSTS
from assay.search.settings import SearchSettings
from assay.search.space import Configuration, Space, read_space

DEFAULT_OBJECTIVE: Mapping[Task, str] = {
    "classification": "maximize val_accuracy",
    "regression": "minimize val_loss",
}


class _ExperimentFile(Settings):
    """The tables of an experiment's file."""

    title: str
    source: str = ""
    cost: str = ""
    expect: str = ""
    task: Task = "classification"
    data: dict[str, Any]
    model: dict[str, Any]
    train: dict[str, Any] = Field(default_factory=dict)
    space: dict[str, Any] = Field(default_factory=dict)
    search: dict[str, Any] = Field(default_factory=dict)
    baseline: list[dict[str, Any]] = Field(default_factory=list)


def read_experiment(path: Path) -> Experiment:
    """Read an experiment's file.

    Raises:
        RequestError: the file does not exist, is not TOML, or a value in it is wrong; the message
            is one line that names the file.

    Example:
        >>> experiment = read_experiment(Path("mine.toml"))
        >>> experiment.hyperparameters(experiment.default_configuration())["optimizer"]
        'adam'
    """
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except FileNotFoundError:
        raise RequestError(
            f"there is no file {path}: give the path of an experiment's TOML."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} can't be read: {error}.") from None
    except RecursionError:
        raise RequestError(
            f"{path} can't be read: lists and tables are nested too deeply."
        ) from None
    except ValueError as error:  # TOMLDecodeError, or int's own for a number of too many digits
        raise RequestError(f"{path} is no TOML: {error}.") from None
    try:
        return _build_experiment(path, text, _ExperimentFile.read(tables, "the file"))
    except RequestError as error:
        raise RequestError(f"{path.name}: {error}") from None


def _build_experiment(path: Path, text: str, file: _ExperimentFile) -> Experiment:
    model = dict(file.model)
    if not isinstance(family := model.pop("family", None), str):
        raise RequestError(
            f"[model] must say its family, such as family = 'mlp': received {family!r}."
        )
    # A name in two places would leave open which one counts.
    declared_space = read_space(file.space)
    for name in declared_space:
        if name in model or name in file.train:
            raise RequestError(
                f"[space] {name}: is searched and fixed at once; remove one of the two."
            )
    experiment = Experiment(
        name=path.stem,
        path=path,
        text=text,
        title=file.title,
        source=file.source,
        cost=file.cost,
        expect=file.expect,
        task=file.task,
        data=DataSettings.read(file.data, "[data]"),
        # A user-defined module is looked for beside the experiment's file first.
        family=get_family(family, [str(path.parent.absolute())], file.task),
        model=model,
        train=file.train,
        declared_space=declared_space,
        search=SearchSettings.read(
            {"objectives": [DEFAULT_OBJECTIVE[file.task]], **file.search}, "[search]"
        ),
        baselines=tuple(file.baseline),
    )
    experiment.check_trainable()
    return experiment


@dataclass(frozen=True)
class Experiment:
    """An experiment: data, model, training, search space and search.

    Attributes:
        name: the file's name without ".toml".
        path: the file.
        text: the file as it was read.
        title: one line about it.
        source: the paper or lecture that it comes from.
        cost: how long it takes, and on which machine.
        expect: the score to expect.
        task: "classification" or "regression".
        data: the [data] table.
        family: the model family under [model].
        model: fixed values of [model].
        train: fixed values of [train].
        declared_space: the [space] table.
        search: the [search] table.
        baselines: the [[baseline]] tables, without names that are no longer searched.
    """

    name: str
    path: Path
    text: str
    title: str
    source: str
    cost: str
    expect: str
    task: Task
    data: DataSettings
    family: Family[Any]
    model: Mapping[str, Any]
    train: Mapping[str, Any]
    declared_space: Space
    search: SearchSettings
    baselines: tuple[Mapping[str, Any], ...]

    @cached_property
    def space(self) -> Space:
        """The space that is searched: the declared one without the fixed names."""
        # A condition may depend on a name that is not in [space]: it has its default value then.
        defaults = {
            name: field.default
            for fields in (self.family.settings.model_fields, TrainSettings.model_fields)
            for name, field in fields.items()
            if name not in self.declared_space
        }
        if "loss" in defaults:
            defaults["loss"] = DEFAULT_LOSS[self.task]
        return self.declared_space.fix({**defaults, **self.model, **self.train})

    def build_settings(self, searched: Mapping[str, Any]) -> tuple[Settings, TrainSettings]:
        """Return the model's and the training's settings.

        Args:
            searched: values of the searched names; those left out have their defaults.

        Raises:
            RequestError: a value is not allowed.
        """
        train = {
            name: value for name, value in searched.items() if name in TrainSettings.model_fields
        }
        model = {name: value for name, value in searched.items() if name not in train}
        return (
            self.family.settings.read({**self.model, **model}, "[model]"),
            TrainSettings.read_for(self.task, {**self.train, **train}, "[train]"),
        )

    def hyperparameters(self, searched: Mapping[str, Any]) -> dict[str, Any]:
        """Return every hyperparameter by name, searched or fixed, without those that are None.

        Args:
            searched: values of the searched names.
        """
        model, train = self.build_settings(searched)
        values = {
            "family": self.family.name,
            **model.model_dump(),
            **train.model_dump(),
            "scale": self.data.scale,
        }
        return {name: value for name, value in values.items() if value is not None}

    def fixed_hyperparameters(self) -> dict[str, Any]:
        """Return every hyperparameter that is not searched, by name."""
        values = self.hyperparameters(self.space.corner(0, {}))
        return {name: value for name, value in values.items() if name not in self.space}

    def baseline_configurations(self) -> list[Configuration]:
        """Return the baselines as configurations of the space."""
        return [self.check_configuration(values, "[[baseline]]") for values in self.baselines]

    def default_configuration(self) -> Configuration:
        """Return the first baseline; without one, an empty configuration: the family's defaults."""
        return next(iter(self.baseline_configurations()), {})

    def first_configuration(self) -> Configuration:
        """Return the first baseline with a value of every searched name that exists beside it."""
        return self.space.corner(0, self.default_configuration())

    def check_configuration(self, values: Mapping[str, Any], where: str) -> Configuration:
        """Return values of some searched names as a configuration.

        Args:
            values: values by name.
            where: where the values come from, for the message.

        Raises:
            RequestError: a name is not searched, a value is outside its range, or a parameter does
                not exist beside the others.
        """
        return self.space.check(values, where)

    def largest_value(self, name: Literal["batch_size", "epochs"]) -> int:
        """Return the largest value of a training setting that a trial could have."""
        # The corners have every extreme value of every parameter.
        return max(
            int(getattr(self.build_settings(configuration)[1], name))
            for configuration in self.space.corners()
        )

    def check_trainable(self) -> None:
        """Check that every configuration of the space could be trained, without training any.

        Raises:
            RequestError: one could not.
        """
        # The names and metrics of a user-defined factory are unknown until it is called.
        if self.family.factory is None:
            known_names = [*TrainSettings.model_fields, *self.family.settings.model_fields]
            for name in self.space:
                check_name("name in [space]", name, known_names)
            measured = metric_names(self.task)
            known_metrics = [*measured, *(f"val_{name}" for name in measured), *COSTS]
            for objective in self.search.goals.each:
                check_name("metric in [search] objectives", objective.metric, known_metrics)
        check_task(self.data, self.task)
        # Baselines may leave names out: those have their first values here.
        baselines = (self.space.corner(0, values) for values in self.baseline_configurations())
        for configuration in (*self.space.corners(), *baselines):
            check_optimizer(self.family, self.build_settings(configuration)[1])

    def check_input(self, input_shape: tuple[int, ...]) -> None:
        """Check that every network of the space can take inputs of this shape.

        Args:
            input_shape: (height, width, channels) or (features,).

        Raises:
            RequestError: one cannot.
        """
        for configuration in self.space.corners():
            model, train = self.build_settings(configuration)
            self.family.check_input(model, input_shape)
            check_augmentation(train, input_shape)

    def with_search(self, **changes: Any) -> Experiment:
        """Return the experiment with other settings of [search].

        Args:
            **changes: keys of [search]; None leaves a setting unchanged.

        Raises:
            RequestError: a value is not allowed.

        Example:
            >>> experiment.with_search(trials=100, sampler=None).search.trials
            100
        """
        # An option that was not given is None.
        given = {name: value for name, value in changes.items() if value is not None}
        return dataclasses.replace(self, search=self.search.changed(**given))

    def with_fixed(self, values: Mapping[str, Any]) -> Experiment:
        """Return the experiment with some names fixed, whether they were searched or not.

        Args:
            values: values by name, of [model], [train] or [data].

        Raises:
            RequestError: a name is unknown, or a value is not allowed.

        Example:
            >>> experiment.with_fixed({"hidden_units": 64, "epochs": 3}).fixed_hyperparameters()
            {'family': 'mlp', 'hidden_units': 64, ...}
        """
        data_keys = self._settable_data_keys()
        self._check_known(values, data_keys)
        # A parameter that exists only under a condition keeps the condition, and gets one choice.
        conditional = {
            name: value
            for name, value in values.items()
            if name in self.space and self.space[name].when
        }
        others = {name: value for name, value in values.items() if name not in conditional}
        changed = self._with_values(others, data_keys)
        # The other values may have decided the condition: then the parameter is fixed like any.
        undecided = {
            name: value
            for name, value in conditional.items()
            if name in changed.space and changed.space[name].when
        }
        decided = {name: value for name, value in conditional.items() if name not in undecided}
        changed = changed._with_values(decided, data_keys)
        one_choice = {
            name: changed.declared_space[name].fixed_to(value) for name, value in undecided.items()
        }
        changed = dataclasses.replace(
            changed, declared_space=Space.ordered({**changed.declared_space, **one_choice})
        )
        changed = changed._with_values({}, data_keys)  # the baselines of the smaller space
        changed.check_trainable()
        return changed

    def _settable_data_keys(self) -> list[str]:
        """Return the keys of [data] that `with_fixed` can set."""
        model_names = {*self.model, *self.declared_space, *self.family.settings.model_fields}
        model_names -= {*TrainSettings.model_fields}
        # A user-defined factory may have an argument "seed" or "size": the name means the data's
        # only if this data set takes the key.
        is_user_defined = self.family.factory is not None
        keys = self.data.applicable_keys() if is_user_defined else DataSettings.model_fields
        return [key for key in keys if key != "name" and key not in model_names]

    def _check_known(self, values: Mapping[str, Any], data_keys: Collection[str]) -> None:
        if self.family.factory is not None:
            return  # which names a user-defined factory takes is unknown until it is called
        known = [*TrainSettings.model_fields, *self.family.settings.model_fields, *data_keys]
        for name in values:
            if name not in known:
                raise RequestError(
                    f"--set does not know {name!r}: {self.name} has {', '.join(known)}."
                    f"{suggestion(name, known)}"
                )

    def _with_values(self, values: Mapping[str, Any], data_keys: Collection[str]) -> Experiment:
        """Return the experiment with values set, and with what is left of its baselines."""
        data = {name: value for name, value in values.items() if name in data_keys}
        train = {
            name: value for name, value in values.items() if name in TrainSettings.model_fields
        }
        model = {
            name: value for name, value in values.items() if name not in data and name not in train
        }
        changed = dataclasses.replace(
            self,
            data=DataSettings.read({**self.data.model_dump(), **data}, "[data]"),
            model={**self.model, **model},
            train={**self.train, **train},
        )
        baselines = (
            {name: value for name, value in baseline.items() if changed._can_search(name, value)}
            for baseline in self.baselines
        )
        # An empty baseline is all defaults: redundant, unless nothing is searched at all.
        return dataclasses.replace(
            changed,
            baselines=tuple(baseline for baseline in baselines if baseline or not changed.space),
        )

    def _can_search(self, name: str, value: object) -> bool:
        """Return whether a value of a baseline is a value of the space."""
        if name not in self.space:
            return False
        try:
            self.space[name].check("", value)
        except RequestError:
            return False
        return True
