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

from assay.experiments.data.registry import check_task
from assay.experiments.data.settings import DataSettings
from assay.models.architectures.precompiled import check_optimizer
from assay.models.architectures.registry import Family, get_family
from assay.models.errors import RequestError
from assay.models.names import check_name, suggestion
from assay.models.settings import Settings
from assay.models.tasks import DEFAULT_LOSS, METRICS, Task
from assay.models.training import augmentation
from assay.models.training.config import TrainSettings
from assay.search.objective import COSTS
from assay.search.settings import SearchSettings
from assay.search.space import Configuration, Space, read_space

DEFAULT_OBJECTIVE: Mapping[Task, str] = {
    "classification": "maximize val_accuracy",
    "regression": "minimize val_loss",
}


class _File(Settings):
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


@dataclass(frozen=True)
class Experiment:
    """What is trained, on what, and what is searched.

    `model` and `train` hold the fixed values. `declared` is the space as the file has it, `space`
    what of it is left to search beside the fixed values, and `baselines` are configurations of
    that. `title`, `source`, `cost` and `expect` are for people; `text` is the file as it was read.
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
    declared: Space
    search: SearchSettings
    baselines: tuple[Mapping[str, Any], ...]

    @cached_property
    def space(self) -> Space:
        """What is searched: the declared space beside the fixed values."""
        defaults = {
            name: field.default
            for fields in (self.family.settings.model_fields, TrainSettings.model_fields)
            for name, field in fields.items()
            if name not in self.declared
        }
        if "loss" in defaults:
            defaults["loss"] = DEFAULT_LOSS[self.task]
        return self.declared.given({**defaults, **self.model, **self.train})

    def settings(self, searched: Mapping[str, Any]) -> tuple[Settings, TrainSettings]:
        """Return the model's and the training's settings with these values of the searched names.

        Raises:
            RequestError: a value that no training can have.
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
        """Return every hyperparameter by name, searched or fixed."""
        model, train = self.settings(searched)
        named = {
            "family": self.family.name,
            **model.model_dump(),
            **train.model_dump(),
            "scale": self.data.scale,
        }
        return {name: value for name, value in named.items() if value is not None}

    def baseline_configurations(self) -> list[Configuration]:
        """Return the baselines as configurations of the space."""
        return [self.configuration(baseline, "[[baseline]]") for baseline in self.baselines]

    def default(self) -> Configuration:
        """Return what is trained when no values are given: the first baseline, else the family's
        defaults.
        """
        return next(iter(self.baseline_configurations()), {})

    def first(self) -> Configuration:
        """Return a whole configuration of the space: the first baseline, else the first value of
        everything.
        """
        return self.space.corner(0, next(iter(self.baseline_configurations()), {}))

    def fixed(self) -> dict[str, Any]:
        """Return every hyperparameter that is not searched, by name."""
        named = self.hyperparameters(self.space.corner(0, {}))
        return {name: value for name, value in named.items() if name not in self.space}

    def fixing(self, values: Mapping[str, Any]) -> Experiment:
        """Return the experiment with these values fixed, whether they were searched before or not.

        Raises:
            RequestError: a name that it does not know, or a value that can't be.
        """
        of_model = {*self.model, *self.declared, *self.family.settings.model_fields} - {
            *TrainSettings.model_fields
        }
        # A factory of one's own may well have a seed or a size: of the data only where these data
        # have one.
        suited = self.data.keys() if self.family.factory is not None else DataSettings.model_fields
        in_data = [name for name in suited if name != "name" and name not in of_model]
        known = [*TrainSettings.model_fields, *self.family.settings.model_fields, *in_data]
        for name in values:
            if name not in known and self.family.factory is None:
                raise RequestError(
                    f"--set does not know {name!r}: {self.name} has {', '.join(known)}.{suggestion(name, known)}"
                )
        # What exists only under a condition stays under it, with one value.
        conditional = {
            name: value
            for name, value in values.items()
            if name in self.space and self.space[name].when
        }
        changed = self._with(
            {name: value for name, value in values.items() if name not in conditional}, in_data
        )
        still = {
            name: value
            for name, value in conditional.items()
            if name in changed.space and changed.space[name].when
        }
        changed = changed._with(
            {name: value for name, value in conditional.items() if name not in still}, in_data
        )
        one_choice = {name: changed.declared[name].only(value) for name, value in still.items()}
        changed = dataclasses.replace(
            changed, declared=Space.ordered({**changed.declared, **one_choice})
        )
        changed = changed._with({}, in_data)
        changed.check()
        return changed

    def _with(self, values: Mapping[str, Any], in_data: Collection[str]) -> Experiment:
        """Return the experiment with these values in their tables, and the baselines with what is
        left to search.
        """
        data = {name: value for name, value in values.items() if name in in_data}
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
        left = (
            {name: one[name] for name in one if changed._searches(name, one[name])}
            for one in self.baselines
        )
        return dataclasses.replace(
            changed, baselines=tuple(one for one in left if one or not changed.space)
        )

    def _searches(self, name: str, value: object) -> bool:
        """Return whether a value of a baseline is still one of the space."""
        if name not in self.space:
            return False
        try:
            self.space[name].check("", value)
        except RequestError:
            return False
        return True

    def searching(self, **changes: Any) -> Experiment:
        """Return the experiment with these settings of its search changed; None leaves one as it
        is.

        Raises:
            RequestError: a value that can't be.
        """
        given = {name: value for name, value in changes.items() if value is not None}
        return dataclasses.replace(self, search=self.search.changed(**given))

    def check(self) -> None:
        """See that every configuration of the space could be trained, before anything is.

        Raises:
            RequestError: one that could not.
        """
        if (
            self.family.factory is None
        ):  # which names and metrics a factory of one's own has shows when it is tried out
            known = [*TrainSettings.model_fields, *self.family.settings.model_fields]
            metrics = [*METRICS[self.task], *(f"val_{name}" for name in METRICS[self.task]), *COSTS]
            for name in self.space:
                check_name("name in [space]", name, known)
            for objective in self.search.goals.each:
                check_name("metric in [search] objectives", objective.metric, metrics)
        check_task(self.data, self.task)
        whole = (self.space.corner(0, baseline) for baseline in self.baseline_configurations())
        for configuration in (*self.space.corners(), *whole):
            check_optimizer(self.family, self.settings(configuration)[1])

    def check_input(self, input_shape: tuple[int, ...]) -> None:
        """See that the networks of the space can take inputs of this shape.

        Raises:
            RequestError: one that can't.
        """
        for configuration in self.space.corners():
            model, train = self.settings(configuration)
            self.family.check_input(model, input_shape)
            augmentation.check_input(train, input_shape)

    def configuration(self, values: Mapping[str, Any], where: str) -> Configuration:
        """Return a configuration of the space.

        Raises:
            RequestError: a name that is not searched, a value outside its range, or one that does
                not exist beside the others; `where` says whose.
        """
        return self.space.check(values, where)

    def largest(self, name: Literal["batch_size", "epochs"]) -> int:
        """Return the largest value of a training setting that a trial could have."""
        return max(
            int(getattr(self.settings(configuration)[1], name))
            for configuration in self.space.corners()
        )


def read(path: Path) -> Experiment:
    """Read an experiment's file.

    Raises:
        RequestError: it is not there, is no TOML, or says something that can't be; in one line,
            naming the file.
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
    except ValueError as error:  # a number of too many digits too
        raise RequestError(f"{path} is no TOML: {error}.") from None
    try:
        return _build(path, text, _File.read(tables, "the file"))
    except RequestError as error:
        raise RequestError(f"{path.name}: {error}") from None


def _build(path: Path, text: str, file: _File) -> Experiment:
    model = dict(file.model)
    if not isinstance(family := model.pop("family", None), str):
        raise RequestError(
            f"[model] must say its family, such as family = 'mlp': received {family!r}."
        )
    declared = read_space(file.space)
    for name in declared:
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
        family=get_family(family, [str(path.parent.absolute())], file.task),
        model=model,
        train=file.train,
        declared=declared,
        search=SearchSettings.read(
            {"objectives": [DEFAULT_OBJECTIVE[file.task]], **file.search}, "[search]"
        ),
        baselines=tuple(file.baseline),
    )
    experiment.check()
    return experiment
