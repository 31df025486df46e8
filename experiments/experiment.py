"""An experiment: a TOML file, read strictly into one frozen object."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from experiments.data.settings import DataSettings
from models.errors import RequestError
from models.families import FAMILIES, Family
from models.names import check_name, suggestion
from models.settings import Settings
from models.train import TrainSettings
from search.settings import SearchSettings
from search.space import Choice, Space, check_value, extremes, read_space

Configuration = Mapping[str, Choice]


class _File(Settings):
    """The tables of an experiment's file."""

    title: str
    source: str = ""
    cost: str = ""
    expect: str = ""
    task: Literal["classification"] = "classification"
    data: dict[str, Any]
    model: dict[str, Any]
    train: dict[str, Any] = Field(default_factory=dict)
    space: dict[str, Any] = Field(default_factory=dict)
    search: dict[str, Any] = Field(default_factory=dict)
    baseline: list[dict[str, Any]] = Field(default_factory=list)


@dataclass(frozen=True)
class Experiment:
    """What is trained, on what, and what is searched.

    `model` and `train` hold the fixed values; `space` the searched ones; `baselines` configurations of the space.
    `title`, `source`, `cost` and `expect` are for people; `text` is the file as it was read.
    """

    name: str
    path: Path
    text: str
    title: str
    source: str
    cost: str
    expect: str
    task: Literal["classification"]
    data: DataSettings
    family: Family[Any]
    model: Mapping[str, Any]
    train: Mapping[str, Any]
    space: Space
    search: SearchSettings
    baselines: tuple[Mapping[str, Any], ...]

    def settings(self, searched: Mapping[str, Any]) -> tuple[Settings, TrainSettings]:
        """Return the model's and the training's settings with these values of the searched names.

        Raises:
            RequestError: a value that no training can have.
        """
        train = {name: value for name, value in searched.items() if name in TrainSettings.model_fields}
        model = {name: value for name, value in searched.items() if name not in train}
        return (
            self.family.settings.read({**self.model, **model}, "[model]"),
            TrainSettings.read({**self.train, **train}, "[train]"),
        )

    def hyperparameters(self, searched: Mapping[str, Any]) -> dict[str, Any]:
        """Return every hyperparameter by name, searched or fixed."""
        model, train = self.settings(searched)
        named = {"family": self.family.name, **model.model_dump(), **train.model_dump(), "scale": self.data.scale}
        return {name: value for name, value in named.items() if value is not None}

    def baseline_configurations(self) -> list[Configuration]:
        """Return the baselines as configurations of the space."""
        return [self.configuration(baseline, "[[baseline]]") for baseline in self.baselines]

    def default(self) -> Configuration:
        """Return what is trained when no values are given: the first baseline, else the family's defaults."""
        return next(iter(self.baseline_configurations()), {})

    def fixed(self) -> dict[str, Any]:
        """Return every hyperparameter that is not searched, by name."""
        named = self.hyperparameters(self.default())
        return {name: value for name, value in named.items() if name not in self.space}

    def fixing(self, values: Mapping[str, Any]) -> Experiment:
        """Return the experiment with these values fixed, whether they were searched before or not.

        Raises:
            RequestError: a name that it does not know, or a value that can't be.
        """
        known = [*TrainSettings.model_fields, *self.family.settings.model_fields, "validation", "split_seed", "scale"]
        for name in values:
            if name not in known:
                raise RequestError(
                    f"--set does not know {name!r}: {self.name} has {', '.join(known)}.{suggestion(name, known)}"
                )
        data = {name: value for name, value in values.items() if name in DataSettings.model_fields}
        train = {name: value for name, value in values.items() if name in TrainSettings.model_fields}
        model = {name: value for name, value in values.items() if name not in data and name not in train}
        changed = dataclasses.replace(
            self,
            data=DataSettings.read({**self.data.model_dump(), **data}, "[data]"),
            model={**self.model, **model},
            train={**self.train, **train},
            space={name: self.space[name] for name in self.space if name not in values},
            baselines=tuple(
                {name: baseline[name] for name in baseline if name not in values} for baseline in self.baselines
            ),
        )
        changed.check()
        return changed

    def searching(self, **changes: Any) -> Experiment:
        """Return the experiment with these settings of its search changed; None leaves one as it is.

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
        known = [*TrainSettings.model_fields, *self.family.settings.model_fields]
        for name, distribution in self.space.items():
            check_name("name in [space]", name, known)
            if name in self.model or name in self.train:
                raise RequestError(f"[space] {name}: is searched and fixed at once; remove one of the two.")
            for value in extremes(distribution):
                self.settings({name: value})
        self.settings({})
        for configuration in self.baseline_configurations():
            self.settings(configuration)

    def check_input(self, input_shape: tuple[int, ...]) -> None:
        """See that the networks of the space can take inputs of this shape.

        Raises:
            RequestError: one that can't.
        """
        for name, distribution in self.space.items():
            for value in extremes(distribution):
                self.family.check_input(self.settings({name: value})[0], input_shape)
        self.family.check_input(self.settings({})[0], input_shape)

    def configuration(self, values: Mapping[str, Any], where: str) -> Configuration:
        """Return a configuration of the space.

        Raises:
            RequestError: a name that is not searched, or a value outside its range; `where` says whose.
        """
        for name in values:
            if name not in self.space:
                raise RequestError(
                    f"{where} does not search {name!r}: the space has {', '.join(self.space) or 'nothing'}."
                    f"{suggestion(name, self.space)}"
                )
        return {name: check_value(f"{where} {name}", self.space[name], value) for name, value in values.items()}

    def largest(self, name: Literal["batch_size", "epochs"]) -> int:
        """Return the largest value of a training setting that a trial could have."""
        if name not in self.space:
            return int(getattr(self.settings({})[1], name))
        return max(int(value) for value in extremes(self.space[name]))


def read(path: Path) -> Experiment:
    """Read an experiment's file.

    Raises:
        RequestError: it is not there, is no TOML, or says something that can't be; in one line, naming the file.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except FileNotFoundError:
        raise RequestError(f"there is no file {path}: give the path of an experiment's TOML.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} can't be read: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise RequestError(f"{path} is no TOML: {error}.") from None
    try:
        return _build(path, text, _File.read(tables, "the file"))
    except RequestError as error:
        raise RequestError(f"{path.name}: {error}") from None


def _build(path: Path, text: str, file: _File) -> Experiment:
    model = dict(file.model)
    if not isinstance(family := model.pop("family", None), str):
        raise RequestError(f"[model] must say its family, such as family = 'mlp': received {family!r}.")
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
        family=FAMILIES[check_name("family", family, FAMILIES)],
        model=model,
        train=file.train,
        space=read_space(file.space),
        search=SearchSettings.read(file.search, "[search]"),
        baselines=tuple(file.baseline),
    )
    experiment.check()
    return experiment
